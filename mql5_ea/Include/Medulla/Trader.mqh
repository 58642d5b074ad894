//+------------------------------------------------------------------+
//| Trader.mqh - carries one trade out: gate, INTENT, the broker,    |
//| RESULT. The one place that calls OrderSend.                      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TRADER_MQH
#define MEDULLA_TRADER_MQH
#include <Medulla\Orders.mqh>

class CTrader
  {
private:
   void              Send(const STrade &trade,const ENUM_ORDER_TYPE_FILLING filling,SExecution &execution) const;
   void              Judge(const STrade &trade,const MqlTradeResult &result,SExecution &execution) const;
   void              FindDeal(const STrade &trade,SExecution &execution) const;
public:
   bool              Intend(const string cid,const string hash,const string cmd,const STrade &trade) const;
   bool              CarryOut(const SMandate &mandate,const string cid,const string hash,const STrade &trade,SExecution &execution) const;
   void              Conclude(const string cid,SExecution &execution) const;
  };

CTrader g_trader;

bool CTrader::Intend(const string cid,const string hash,const string cmd,const STrade &trade) const
  {
   SIntent intent={};
   intent.cid=cid;
   intent.hash=hash;
   intent.sent_ms=UtcMs();
   intent.cmd=(cmd=="modify" ? (trade.on_position ? "modify_position" : "modify_order") : cmd);
   intent.symbol=trade.symbol;
   intent.side=(int)trade.kind;
   intent.volume=trade.volume;
   intent.price=trade.price;
   intent.sl=trade.sl;
   intent.tp=trade.tp;
   intent.magic=trade.magic;
   intent.ticket=trade.ticket;
   intent.order=0;
   intent.tag=trade.tag;
   return(g_ledger.Intend(intent));
  }

//--- true: the broker was asked, or might have been; false: refused before. Nothing is stored for what was refused.
bool CTrader::CarryOut(const SMandate &mandate,const string cid,const string hash,const STrade &trade,SExecution &execution) const
  {
   execution.symbol=trade.symbol;
   execution.requested=trade.volume;
   if(!g_gate.Allows(mandate,trade.cmd,execution) || !g_orders.Fits(trade,execution))
      return(false);
   if(IsEntry(trade.cmd) && !g_gate.AllowsEntry(trade.symbol,trade.volume,trade.sl>0.0,execution))
      return(false);
   ENUM_ORDER_TYPE_FILLING fillings[];
   int count=g_orders.Fillings(trade,fillings);
   int filling=0;
   int tries=1;
   while(true)
     {
      if(!Intend(cid,hash,trade.is_part ? "close_all" : trade.cmd,trade))
        {
         if(execution.attempts==0)
            Refuse(execution,"LEDGER_FAILED","the EA cannot write its ledger; nothing was done, and nothing will be until it can");
         return(execution.attempts>0);
        }
      if(!mandate.by_stop && MonotonicMs()>mandate.deadline)
        {
         Refuse(execution,"EXPIRED","too old to begin; nothing was done");
         break;
        }
      Send(trade,fillings[filling],execution);
      uint code=(uint)execution.retcode;
      bool other_filling=(code==TRADE_RETCODE_INVALID_FILL && filling+1<count);
      if(!other_filling && !(IsTransient(code) && tries<trade.max_attempts))
         break;
      SExecution before=execution;
      if(!g_gate.Allows(mandate,trade.cmd,execution))
        {
         execution=before;
         break;
        }
      if(other_filling)
         filling++;
      else
         tries++;
     }
   if(IsEntry(trade.cmd))
      g_gate.CountEntry();
   if(!trade.is_part)
      Conclude(cid,execution);
   return(true);
  }

void CTrader::Send(const STrade &trade,const ENUM_ORDER_TYPE_FILLING filling,SExecution &execution) const
  {
   MqlTradeRequest request={};
   MqlTradeResult  result={};
   g_orders.Fill(trade,filling,request);
   execution.quote=SymbolInfoDouble(trade.symbol,IsBuyKind(trade.kind) ? SYMBOL_ASK : SYMBOL_BID);
   execution.attempts++;
   execution.asked=true;
   if(!OrderSend(request,result) && result.retcode==0)
      Print("Medulla: OrderSend gave no return code, error ",GetLastError());
   Judge(trade,result,execution);
  }

void CTrader::Judge(const STrade &trade,const MqlTradeResult &result,SExecution &execution) const
  {
   uint code=result.retcode;
   bool market=(trade.cmd=="open" || trade.cmd=="close");
   bool same=(code==TRADE_RETCODE_NO_CHANGES && trade.cmd=="modify");
   execution.retcode=(long)code;
   execution.code="";
   execution.message=((code==TRADE_RETCODE_DONE || code==TRADE_RETCODE_DONE_PARTIAL) ? "" : RetcodeText(code));
   execution.order=result.order;
   execution.deal=result.deal;
   if(code==TRADE_RETCODE_DONE || same || (code==TRADE_RETCODE_PLACED && trade.cmd=="place"))
      execution.state="done";
   else
      if(code==TRADE_RETCODE_DONE_PARTIAL)
         execution.state="partial";
      else
        {
         execution.state=(IsRejection(code) ? "rejected" : "unknown");
         return;
        }
   execution.price=(result.price>0.0 ? result.price : trade.price);
   if(market)
     {
      execution.volume=(result.volume>0.0 ? result.volume : trade.volume);
      FindDeal(trade,execution);
      if(execution.state=="done" && execution.volume<trade.volume-1e-9)
         execution.state="partial";
      return;
     }
   execution.volume=trade.volume;
   if(trade.cmd=="place")
      return;
   if(trade.on_position)
      execution.position=trade.ticket;
   else
      execution.order=trade.ticket;
  }

//--- position and price from the deal; the broker's answer may lack them, and history may lag behind the answer
void CTrader::FindDeal(const STrade &trade,SExecution &execution) const
  {
   execution.position=(trade.cmd=="close" ? trade.ticket : execution.order);
   if(execution.deal>0 && HistoryDealSelect(execution.deal))
     {
      ulong identifier=(ulong)HistoryDealGetInteger(execution.deal,DEAL_POSITION_ID);
      if(execution.price<=0.0)
         execution.price=HistoryDealGetDouble(execution.deal,DEAL_PRICE);
      if(trade.cmd!="close" && identifier>0)
         execution.position=PositionOfIdentifier(identifier);
      return;
     }
   if(trade.cmd=="close" || IsHedging())
      return;
   for(int i=0; i<PositionsTotal(); i++)
     {
      ulong ticket=PositionGetTicket(i);
      if(ticket>0 && PositionGetString(POSITION_SYMBOL)==trade.symbol)
         execution.position=ticket;
     }
  }

//--- what is unknown gets no result: it is looked up later, and never sent again
void CTrader::Conclude(const string cid,SExecution &execution) const
  {
   if(execution.state=="unknown")
     {
      g_ledger.Note(cid,execution.order);
      return;
     }
   if(!g_ledger.Conclude(cid,execution.order,execution.code,JsonObject(ExecutionMembers(execution,false))))
      execution.message="the terminal could not store this result";
  }
#endif
//+------------------------------------------------------------------+
