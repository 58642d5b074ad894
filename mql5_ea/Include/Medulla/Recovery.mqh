//+------------------------------------------------------------------+
//| Recovery.mqh - trades with an intent and no result are looked up |
//| at the broker: by order number, else by tag, magic, symbol and   |
//| side. What is found becomes the RESULT. Nothing is sent here.    |
//+------------------------------------------------------------------+
#ifndef MEDULLA_RECOVERY_MQH
#define MEDULLA_RECOVERY_MQH
#include <Medulla\Trader.mqh>

#define LOOKUP_SOON_MS   500
#define LOOKUP_LATER_MS  10000
#define LOOKUP_SOON      40
#define LOOKUP_FOR_MS    86400000
#define CLOCK_SLACK_S    120

class CRecovery
  {
private:
   long              m_next;          // monotonic ms
   int               m_rounds;
   bool              Matches(const SIntent &intent,const string symbol,const string comment,const ulong magic) const;
   bool              Recent(const SIntent &intent,const long server_ms) const;
   bool              FindOpen(const SIntent &intent,SExecution &execution) const;
   bool              FindClose(const SIntent &intent,SExecution &execution) const;
   bool              FindPlaced(const SIntent &intent,SExecution &execution) const;
   bool              FindModified(const SIntent &intent,SExecution &execution) const;
   bool              FindCancelled(const SIntent &intent,SExecution &execution) const;
   bool              TakeDeal(const SIntent &intent,const ulong deal,SExecution &execution) const;
   bool              SelectSince(const SIntent &intent) const;
public:
                     CRecovery() { m_next=0; m_rounds=0; }
   void              Begin() { m_next=0; m_rounds=0; }
   bool              LookUp(const int entry) const;
   void              Pump();
   void              Hurry() { m_next=MonotonicMs()+LOOKUP_SOON_MS; m_rounds=0; }
  };

CRecovery g_recovery;

bool CRecovery::Matches(const SIntent &intent,const string symbol,const string comment,const ulong magic) const
  {
   return(intent.tag!="" && symbol==intent.symbol && magic==intent.magic && StringFind(comment,intent.tag)==0);
  }

bool CRecovery::Recent(const SIntent &intent,const long server_ms) const
  {
   return(UtcOfServerMs(server_ms)>=intent.sent_ms-CLOCK_SLACK_S*1000);
  }

bool CRecovery::SelectSince(const SIntent &intent) const
  {
   return(HistorySelect(ServerOfUtcMs(intent.sent_ms-CLOCK_SLACK_S*1000),(datetime)((long)TimeTradeServer()+86400)));
  }

//--- the deal and the others of its order are the execution
bool CRecovery::TakeDeal(const SIntent &intent,const ulong deal,SExecution &execution) const
  {
   ulong order=(ulong)HistoryDealGetInteger(deal,DEAL_ORDER);
   execution.deal=deal;
   execution.order=order;
   execution.price=HistoryDealGetDouble(deal,DEAL_PRICE);
   ulong identifier=(ulong)HistoryDealGetInteger(deal,DEAL_POSITION_ID);
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong other=HistoryDealGetTicket(i);
      if(other>0 && (ulong)HistoryDealGetInteger(other,DEAL_ORDER)==order)
         execution.volume+=HistoryDealGetDouble(other,DEAL_VOLUME);
     }
   execution.position=PositionOfIdentifier(identifier);
   execution.state=(execution.volume<intent.volume-1e-9 ? "partial" : "done");
   return(true);
  }

bool CRecovery::FindOpen(const SIntent &intent,SExecution &execution) const
  {
   if(!SelectSince(intent))
      return(false);
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong deal=HistoryDealGetTicket(i);
      if(deal==0 || !IsTradeDeal(deal) || (int)HistoryDealGetInteger(deal,DEAL_TYPE)!=intent.side)
         continue;
      bool by_order=(intent.order>0 && (ulong)HistoryDealGetInteger(deal,DEAL_ORDER)==intent.order);
      bool by_tag=Matches(intent,HistoryDealGetString(deal,DEAL_SYMBOL),HistoryDealGetString(deal,DEAL_COMMENT),
                          (ulong)HistoryDealGetInteger(deal,DEAL_MAGIC));
      if((by_order || by_tag) && (ENUM_DEAL_ENTRY)HistoryDealGetInteger(deal,DEAL_ENTRY)!=DEAL_ENTRY_OUT)
         return(TakeDeal(intent,deal,execution));
     }
   return(false);
  }

bool CRecovery::FindClose(const SIntent &intent,SExecution &execution) const
  {
   ulong identifier=intent.ticket;
   if(PositionSelectByTicket(intent.ticket))
      identifier=(ulong)PositionGetInteger(POSITION_IDENTIFIER);
   if(!SelectSince(intent))
      return(false);
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong deal=HistoryDealGetTicket(i);
      if(deal==0 || (ENUM_DEAL_ENTRY)HistoryDealGetInteger(deal,DEAL_ENTRY)==DEAL_ENTRY_IN)
         continue;
      bool by_order=(intent.order>0 && (ulong)HistoryDealGetInteger(deal,DEAL_ORDER)==intent.order);
      bool by_tag=(intent.tag!="" && StringFind(HistoryDealGetString(deal,DEAL_COMMENT),intent.tag)==0 &&
                   (ulong)HistoryDealGetInteger(deal,DEAL_POSITION_ID)==identifier);
      if(by_order || by_tag)
         return(TakeDeal(intent,deal,execution));
     }
   return(false);
  }

bool CRecovery::FindPlaced(const SIntent &intent,SExecution &execution) const
  {
   execution.price=intent.price;
   execution.state="done";
   for(int i=0; i<OrdersTotal(); i++)
     {
      ulong order=OrderGetTicket(i);
      if(order==0 || (int)OrderGetInteger(ORDER_TYPE)!=intent.side)
         continue;
      bool by_tag=(Matches(intent,OrderGetString(ORDER_SYMBOL),OrderGetString(ORDER_COMMENT),(ulong)OrderGetInteger(ORDER_MAGIC)) &&
                   Recent(intent,OrderGetInteger(ORDER_TIME_SETUP_MSC)));
      if(order==intent.order || by_tag)
        {
         execution.order=order;
         return(true);
        }
     }
   if(!SelectSince(intent))
      return(false);
   for(int i=0; i<HistoryOrdersTotal(); i++)
     {
      ulong order=HistoryOrderGetTicket(i);
      if(order==0)
         continue;
      bool by_tag=(Matches(intent,HistoryOrderGetString(order,ORDER_SYMBOL),HistoryOrderGetString(order,ORDER_COMMENT),
                           (ulong)HistoryOrderGetInteger(order,ORDER_MAGIC)) &&
                   Recent(intent,HistoryOrderGetInteger(order,ORDER_TIME_SETUP_MSC)));
      if(order!=intent.order && !by_tag)
         continue;
      execution.order=order;
      if((ENUM_ORDER_STATE)HistoryOrderGetInteger(order,ORDER_STATE)==ORDER_STATE_REJECTED)
         execution.state="rejected";
      return(true);
     }
   return(false);
  }

//--- what was asked for is there; what is not there yet may still come
bool CRecovery::FindModified(const SIntent &intent,SExecution &execution) const
  {
   execution.state="done";
   if(intent.cmd=="modify_position")
     {
      execution.position=intent.ticket;
      return(PositionSelectByTicket(intent.ticket) && MathAbs(PositionGetDouble(POSITION_SL)-intent.sl)<1e-9 &&
             MathAbs(PositionGetDouble(POSITION_TP)-intent.tp)<1e-9);
     }
   execution.order=intent.ticket;
   execution.price=intent.price;
   return(OrderSelect(intent.ticket) && MathAbs(OrderGetDouble(ORDER_PRICE_OPEN)-intent.price)<1e-9 &&
          MathAbs(OrderGetDouble(ORDER_SL)-intent.sl)<1e-9 && MathAbs(OrderGetDouble(ORDER_TP)-intent.tp)<1e-9);
  }

bool CRecovery::FindCancelled(const SIntent &intent,SExecution &execution) const
  {
   execution.order=intent.ticket;
   if(OrderSelect(intent.ticket) || !HistoryOrderSelect(intent.ticket))
      return(false);
   ENUM_ORDER_STATE state=(ENUM_ORDER_STATE)HistoryOrderGetInteger(intent.ticket,ORDER_STATE);
   execution.state=(state==ORDER_STATE_CANCELED ? "done" : "rejected");
   if(execution.state=="rejected")
      execution.message="the order was filled or had expired";
   return(true);
  }

//--- true: the ledger has a result now
bool CRecovery::LookUp(const int entry) const
  {
   SIntent intent={};
   SExecution execution={};
   if(g_ledger.HasResult(entry))
      return(true);
   if(!IsSynchronised() || !g_ledger.ReadIntent(entry,intent))
      return(false);
   ClearExecution(execution);
   execution.symbol=intent.symbol;
   execution.requested=intent.volume;
   execution.attempts=1;
   execution.message="found at the broker";
   execution.volume=(intent.cmd=="open" || intent.cmd=="close" ? 0.0 : intent.volume);
   bool found=false;
   if(intent.cmd=="open")
      found=FindOpen(intent,execution);
   if(intent.cmd=="close")
      found=FindClose(intent,execution);
   if(intent.cmd=="place")
      found=FindPlaced(intent,execution);
   if(intent.cmd=="modify_position" || intent.cmd=="modify_order")
      found=FindModified(intent,execution);
   if(intent.cmd=="cancel")
      found=FindCancelled(intent,execution);
   if(!found)
      return(false);
   return(g_ledger.Conclude(intent.cid,execution.order,"",JsonObject(ExecutionMembers(execution,false))));
  }

void CRecovery::Pump()
  {
   if(MonotonicMs()<m_next || g_ledger.IsBroken())
      return;
   m_rounds++;
   m_next=MonotonicMs()+(m_rounds<LOOKUP_SOON ? LOOKUP_SOON_MS : LOOKUP_LATER_MS);
   for(int entry=g_ledger.Count()-1; entry>=0; entry--)
     {
      if(g_ledger.HasResult(entry))
         continue;
      if(UtcMs()-g_ledger.SentMs(entry)<LOOKUP_FOR_MS)
         LookUp(entry);
     }
  }
#endif
//+------------------------------------------------------------------+
