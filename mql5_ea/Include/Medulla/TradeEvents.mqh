//+------------------------------------------------------------------+
//| TradeEvents.mqh - what changed at the broker, numbered.          |
//| Transactions come in any order, may be lost, and are only hints: |
//| a change is found by comparing what is there with what was there |
//| (docs: OnTradeTransaction, "the order is not guaranteed").       |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TRADE_EVENTS_MQH
#define MEDULLA_TRADE_EVENTS_MQH
#include <Medulla\Objects.mqh>
#include <Medulla\Ledger.mqh>
#include <Medulla\Wire.mqh>

#define COMPARE_MS      1000
#define DEAL_MEMORY     512
#define DEAL_LOOKBACK_S 600

struct SKnownOrder
  {
   ulong             ticket;
   string            state;           // what an event would show of it
   bool              seen;
  };

struct SKnownPosition
  {
   ulong             ticket;
   ulong             identifier;
   double            sl;
   double            tp;
   bool              seen;
  };

class CTradeEvents
  {
private:
   SKnownOrder       m_orders[];
   SKnownPosition    m_positions[];
   ulong             m_deals[];       // published lately
   bool              m_changed;
   bool              m_primed;
   long              m_compared_at;   // monotonic ms
   long              m_begun;         // server seconds
   bool              WasPublished(const ulong deal) const;
   void              Remember(const ulong deal);
   void              PublishDeal(const ulong deal);
   void              PublishReversal(const ulong identifier,const ulong ticket);
   bool              IsPendingOrder(const ulong order) const;
   void              CompareDeals();
   void              CompareOrders();
   void              ComparePositions();
   void              PublishOrder(const string kind,const ulong ticket,const string state);
   string            Fate(const ulong ticket) const;
   string            CidMember(const ulong order,const string comment) const;
public:
                     CTradeEvents() { m_changed=false; m_primed=false; m_compared_at=0; m_begun=0; }
   void              Begin();
   void              OnChange() { m_changed=true; }
   void              Pump(const bool now);
  };

CTradeEvents g_trade_events;

//--- what is there at the start is no event
void CTradeEvents::Begin()
  {
   ArrayResize(m_orders,0);
   ArrayResize(m_positions,0);
   ArrayResize(m_deals,0);
   m_primed=false;
   m_changed=true;
   m_begun=(long)TimeTradeServer();
  }

void CTradeEvents::Pump(const bool now)
  {
   if(!now && !m_changed && MonotonicMs()-m_compared_at<COMPARE_MS)
      return;
   m_changed=false;
   m_compared_at=MonotonicMs();
   if(!IsConnected())   // lists may be empty for want of a connection, and nothing has happened
      return;
   CompareDeals();
   CompareOrders();
   ComparePositions();
   m_primed=true;
  }

bool CTradeEvents::WasPublished(const ulong deal) const
  {
   for(int i=ArraySize(m_deals)-1; i>=0; i--)
      if(m_deals[i]==deal)
         return(true);
   return(false);
  }

void CTradeEvents::Remember(const ulong deal)
  {
   int count=ArraySize(m_deals);
   if(count>=4*DEAL_MEMORY)
     {
      ArrayRemove(m_deals,0,DEAL_MEMORY);
      count=ArraySize(m_deals);
     }
   ArrayResize(m_deals,count+1,DEAL_MEMORY);
   m_deals[count]=deal;
  }

string CTradeEvents::CidMember(const ulong order,const string comment) const
  {
   string cid=g_ledger.CidOfOrder(order);
   if(cid=="")
      cid=g_ledger.CidOfTag(comment);
   bool by_executor=(cid!="" && StringFind(cid,"stop:")!=0);   // what a stop did is nobody's command
   return(by_executor ? ",\"cid\":"+JsonText(cid) : "");
  }

void CTradeEvents::CompareDeals()
  {
   long now=(long)TimeTradeServer();
   if(!HistorySelect((datetime)(MathMax(m_begun,now-DEAL_LOOKBACK_S)-60),(datetime)(now+86400)))
      return;
   ulong fresh[];
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong deal=HistoryDealGetTicket(i);
      if(deal==0 || WasPublished(deal))
         continue;
      Remember(deal);
      int count=ArraySize(fresh);
      ArrayResize(fresh,count+1,16);
      fresh[count]=deal;
     }
   for(int i=0; m_primed && i<ArraySize(fresh); i++)
      PublishDeal(fresh[i]);
  }

void CTradeEvents::PublishDeal(const ulong deal)
  {
   string members="";
   if(!HistoryDealSelect(deal))
      return;
   if(!IsTradeDeal(deal))
     {
      JsonPutText(members,"kind","balance");
      JsonPutText(members,"amount",MoneyText(HistoryDealGetDouble(deal,DEAL_PROFIT)));
     }
   else
     {
      ulong identifier=(ulong)HistoryDealGetInteger(deal,DEAL_POSITION_ID);
      ulong order=(ulong)HistoryDealGetInteger(deal,DEAL_ORDER);
      ulong ticket=PositionOfIdentifier(identifier);
      bool  pending=IsPendingOrder(order);
      if((ENUM_DEAL_ENTRY)HistoryDealGetInteger(deal,DEAL_ENTRY)==DEAL_ENTRY_INOUT)
         PublishReversal(identifier,ticket);
      JsonPutText(members,"kind","deal");
      if(!pending)
         members+=CidMember(order,HistoryDealGetString(deal,DEAL_COMMENT));
      JsonPut(members,"deal",DealJson(deal));
      if(pending)
        {
         JsonPutText(members,"order_ticket",TicketText(order));
         JsonPut(members,"order","null");
        }
      JsonPutText(members,"position_ticket",TicketText(ticket));
      JsonPut(members,"position",PositionSelectByTicket(ticket) ? PositionJson() : "null");
     }
   JsonPut(members,"account",AccountJson());
   g_wire.Publish("trade","trade",JsonObject(members));
  }

//--- a deal that a pending order made is the order's, not a command's
bool CTradeEvents::IsPendingOrder(const ulong order) const
  {
   return(HistoryOrderSelect(order) && IsPendingKind((ENUM_ORDER_TYPE)HistoryOrderGetInteger(order,ORDER_TYPE)));
  }

//--- a netting reversal gives the position another ticket: the old one is gone
void CTradeEvents::PublishReversal(const ulong identifier,const ulong ticket)
  {
   for(int k=ArraySize(m_positions)-1; k>=0; k--)
     {
      if(m_positions[k].identifier!=identifier || m_positions[k].ticket==ticket)
         continue;
      string members="";
      JsonPutText(members,"kind","position_modified");
      JsonPutText(members,"position_ticket",TicketText(m_positions[k].ticket));
      JsonPut(members,"position","null");
      ArrayRemove(m_positions,k,1);
      g_wire.Publish("trade","trade",JsonObject(members));
     }
  }

void CTradeEvents::PublishOrder(const string kind,const ulong ticket,const string state)
  {
   string members="";
   string comment="";
   if(OrderSelect(ticket))
      comment=OrderGetString(ORDER_COMMENT);
   else
      if(HistoryOrderSelect(ticket))
         comment=HistoryOrderGetString(ticket,ORDER_COMMENT);
   JsonPutText(members,"kind",kind);
   members+=CidMember(ticket,comment);
   JsonPutText(members,"order_ticket",TicketText(ticket));
   JsonPut(members,"order",state);
   g_wire.Publish("trade","trade",JsonObject(members));
  }

//--- how an order that is no longer there ended
string CTradeEvents::Fate(const ulong ticket) const
  {
   if(!HistoryOrderSelect(ticket))
      return("order_cancelled");
   ENUM_ORDER_STATE state=(ENUM_ORDER_STATE)HistoryOrderGetInteger(ticket,ORDER_STATE);
   if(state==ORDER_STATE_FILLED || state==ORDER_STATE_PARTIAL)
      return("order_triggered");
   return(state==ORDER_STATE_EXPIRED ? "order_expired" : "order_cancelled");
  }

void CTradeEvents::CompareOrders()
  {
   for(int k=0; k<ArraySize(m_orders); k++)
      m_orders[k].seen=false;
   for(int i=0; i<OrdersTotal(); i++)
     {
      ulong ticket=OrderGetTicket(i);
      if(ticket==0 || !IsPendingKind((ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE)))
         continue;
      string state=OrderJson();
      int known=-1;
      for(int k=0; k<ArraySize(m_orders); k++)
         if(m_orders[k].ticket==ticket)
            known=k;
      string kind=(known<0 ? "order_placed" : "order_modified");
      if(known<0)
        {
         known=ArraySize(m_orders);
         ArrayResize(m_orders,known+1,16);
         m_orders[known].ticket=ticket;
         m_orders[known].state="";
        }
      m_orders[known].seen=true;
      if(m_orders[known].state==state)
         continue;
      m_orders[known].state=state;
      if(m_primed)
         PublishOrder(kind,ticket,state);
     }
   for(int k=ArraySize(m_orders)-1; k>=0; k--)
      if(!m_orders[k].seen)
        {
         ulong gone=m_orders[k].ticket;
         int   last=ArraySize(m_orders)-1;
         for(int n=k; n<last; n++)
            m_orders[n]=m_orders[n+1];
         ArrayResize(m_orders,last);
         PublishOrder(Fate(gone),gone,"null");
        }
  }

//--- openings and closings are deals; here only stops that were moved
void CTradeEvents::ComparePositions()
  {
   for(int k=0; k<ArraySize(m_positions); k++)
      m_positions[k].seen=false;
   for(int i=0; i<PositionsTotal(); i++)
     {
      ulong ticket=PositionGetTicket(i);
      if(ticket==0)
         continue;
      double sl=PositionGetDouble(POSITION_SL);
      double tp=PositionGetDouble(POSITION_TP);
      int known=-1;
      for(int k=0; k<ArraySize(m_positions); k++)
         if(m_positions[k].ticket==ticket)
            known=k;
      bool changed=(known>=0 && (m_positions[known].sl!=sl || m_positions[known].tp!=tp));
      if(known<0)
        {
         known=ArraySize(m_positions);
         ArrayResize(m_positions,known+1,16);
         m_positions[known].ticket=ticket;
         m_positions[known].identifier=(ulong)PositionGetInteger(POSITION_IDENTIFIER);
        }
      m_positions[known].seen=true;
      m_positions[known].sl=sl;
      m_positions[known].tp=tp;
      if(changed)
        {
         string members="";
         JsonPutText(members,"kind","position_modified");
         JsonPutText(members,"position_ticket",TicketText(ticket));
         JsonPut(members,"position",PositionJson());
         g_wire.Publish("trade","trade",JsonObject(members));
        }
     }
   for(int k=ArraySize(m_positions)-1; k>=0; k--)
      if(!m_positions[k].seen)
         ArrayRemove(m_positions,k,1);
  }
#endif
//+------------------------------------------------------------------+
