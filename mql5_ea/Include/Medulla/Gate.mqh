//+------------------------------------------------------------------+
//| Gate.mqh - may this trade go to the broker now? Asked right      |
//| before the intent and again before every attempt.                |
//| The first reason that forbids it is the one that is told.        |
//+------------------------------------------------------------------+
#ifndef MEDULLA_GATE_MQH
#define MEDULLA_GATE_MQH
#include <Medulla\Execution.mqh>
#include <Medulla\Ledger.mqh>
#include <Medulla\Sessions.mqh>

//--- On whose behalf a trade is made, and until when.
struct SMandate
  {
   bool              by_stop;         // what a stop asked for: needs no session and no time
   bool              operator_asked;
   string            sid;
   long              epoch;
   long              deadline;        // monotonic ms
  };

class CGate
  {
private:
   long              m_entries[];     // monotonic ms of the last minute's new trades
   double            OpenVolume(const string symbol,const bool total) const;
   bool              IsStoppedFor(const SMandate &mandate,const bool reduces);
   bool              LimitsAllow(const string symbol,const double volume,const bool has_stop_loss,SExecution &execution);
   bool              PlatformAllows(SExecution &execution) const;
   bool              SessionAllows(const SMandate &mandate,SExecution &execution) const;
public:
   bool              CheckStopFile() const;
   bool              Allows(const SMandate &mandate,const string cmd,SExecution &execution);
   bool              AllowsEntry(const string symbol,const double volume,const bool has_stop_loss,SExecution &execution);
   bool              IsOwn(const ulong magic) const;
   void              CountEntry();
   double            DayResult() const;
  };

CGate g_gate;

bool CGate::CheckStopFile() const
  {
   return(InpStopFile!="" && FileIsExist(InpStopFile));
  }

bool IsEntry(const string cmd)
  {
   return(cmd=="open" || cmd=="place");
  }

bool CGate::IsStoppedFor(const SMandate &mandate,const bool reduces)
  {
   if(!g_latch.IsStopped() && CheckStopFile())
      g_latch.Stop("stop file "+InpStopFile,"file",0);
   return(g_latch.IsStopped() && !mandate.by_stop && !(mandate.operator_asked && reduces));
  }

bool CGate::SessionAllows(const SMandate &mandate,SExecution &execution) const
  {
   if(mandate.by_stop)
      return(true);
   int session=g_sessions.Find(mandate.sid);
   if(session<0 || session!=g_sessions.Command())
     {
      Refuse(execution,"EXPIRED","this session has ended; nothing was done");
      return(false);
     }
   if(mandate.epoch<g_latch.Epoch())
     {
      Refuse(execution,"EPOCH_TOO_LOW","sent before the last reset");
      return(false);
     }
   if(g_sessions.IsSilent(session))
     {
      Refuse(execution,"EXECUTOR_SILENT","the executor was silent for too long; a fresh session is needed");
      return(false);
     }
   if(MonotonicMs()>mandate.deadline)
     {
      Refuse(execution,"EXPIRED","too old to begin; nothing was done");
      return(false);
     }
   return(true);
  }

bool CGate::PlatformAllows(SExecution &execution) const
  {
   if(InpMode==MODE_READ_ONLY)
     {
      Refuse(execution,"READ_ONLY","the EA is set to read only (InpMode)");
      return(false);
     }
   if(InpMode==MODE_DEMO_ONLY && (ENUM_ACCOUNT_TRADE_MODE)AccountInfoInteger(ACCOUNT_TRADE_MODE)==ACCOUNT_TRADE_MODE_REAL)
     {
      Refuse(execution,"DEMO_ONLY","this is a real account and the EA is set to demo only (InpMode)");
      return(false);
     }
   if(InpLogins!="" && !ListHoldsNumber(InpLogins,CurrentLogin()))
     {
      Refuse(execution,"LOGIN_NOT_ALLOWED",StringFormat("account %I64d is not in InpLogins",CurrentLogin()));
      return(false);
     }
   if(!IsConnected())
     {
      Refuse(execution,"NOT_CONNECTED","the terminal has no connection to the broker");
      return(false);
     }
   string missing=MissingPermissions();
   if(missing!="")
     {
      string words=missing;
      StringReplace(words,"\"","");
      Refuse(execution,"NO_PERMISSION","missing: "+words);
      return(false);
     }
   return(true);
  }

bool CGate::Allows(const SMandate &mandate,const string cmd,SExecution &execution)
  {
   bool entry=IsEntry(cmd);
   bool reduces=(cmd=="cancel" || cmd=="close" || cmd=="close_all");
   if(IsStoppedFor(mandate,reduces))
     {
      Refuse(execution,"STOPPED","the terminal is stopped: "+g_latch.Reason());
      return(false);
     }
   if(!SessionAllows(mandate,execution))
      return(false);
   if((g_ledger.IsBroken() && !g_ledger.Reopen()) || (entry && !g_latch.Retry()))
     {
      Refuse(execution,"LEDGER_FAILED","the EA cannot write its ledger; nothing was done, and nothing will be until it can");
      return(false);
     }
   return(PlatformAllows(execution));
  }

//--- lots of the executor's positions and orders, on one symbol or in all
double CGate::OpenVolume(const string symbol,const bool total) const
  {
   double sum=0.0;
   for(int i=0; i<PositionsTotal(); i++)
      if(PositionGetTicket(i)>0 && (total || PositionGetString(POSITION_SYMBOL)==symbol))
         sum+=PositionGetDouble(POSITION_VOLUME);
   for(int i=0; i<OrdersTotal(); i++)
      if(OrderGetTicket(i)>0 && (total || OrderGetString(ORDER_SYMBOL)==symbol))
         sum+=OrderGetDouble(ORDER_VOLUME_CURRENT);
   return(sum);
  }

bool CGate::LimitsAllow(const string symbol,const double volume,const bool has_stop_loss,SExecution &execution)
  {
   string reason="";
   while(ArraySize(m_entries)>0 && MonotonicMs()-m_entries[0]>60000)
      ArrayRemove(m_entries,0,1);
   double spread=SymbolInfoDouble(symbol,SYMBOL_ASK)-SymbolInfoDouble(symbol,SYMBOL_BID);
   double point=SymbolInfoDouble(symbol,SYMBOL_POINT);
   if(InpAllowedSymbols!="" && !ListHoldsText(InpAllowedSymbols,g_symbols.ToWire(symbol)))
      reason="symbol is not in InpAllowedSymbols";
   else
      if(InpMaxVolumePerOrder>0.0 && volume>InpMaxVolumePerOrder+1e-9)
         reason="volume per order (InpMaxVolumePerOrder)";
      else
         if(InpMaxVolumePerSymbol>0.0 && OpenVolume(symbol,false)+volume>InpMaxVolumePerSymbol+1e-9)
            reason="volume per symbol (InpMaxVolumePerSymbol)";
         else
            if(InpMaxVolumeTotal>0.0 && OpenVolume(symbol,true)+volume>InpMaxVolumeTotal+1e-9)
               reason="volume in all (InpMaxVolumeTotal)";
            else
               if(InpMaxPositions>0 && PositionsTotal()>=InpMaxPositions)
                  reason="number of positions (InpMaxPositions)";
               else
                  if(InpMaxOrdersPerMinute>0 && ArraySize(m_entries)>=InpMaxOrdersPerMinute)
                     reason="new trades a minute (InpMaxOrdersPerMinute)";
                  else
                     if(InpRequireStopLoss && !has_stop_loss)
                        reason="a stop loss is required (InpRequireStopLoss)";
                     else
                        if(InpMaxSpreadPoints>0 && point>0.0 && spread/point>InpMaxSpreadPoints+1e-6)
                           reason="spread (InpMaxSpreadPoints)";
   if(reason=="")
      return(true);
   Refuse(execution,"LIMIT",reason);
   return(false);
  }

bool CGate::AllowsEntry(const string symbol,const double volume,const bool has_stop_loss,SExecution &execution)
  {
   return(LimitsAllow(symbol,volume,has_stop_loss,execution));
  }

void CGate::CountEntry()
  {
   int count=ArraySize(m_entries);
   ArrayResize(m_entries,count+1,256);
   m_entries[count]=MonotonicMs();
  }

//--- whether a position or order with this magic is the executor's
bool CGate::IsOwn(const ulong magic) const
  {
   if(InpTouchForeign)
      return(true);
   return(g_ledger.Knows(magic) || ListHoldsNumber(InpOwnMagics,(long)magic));
  }

//--- closed and floating result since the broker's midnight, account currency
double CGate::DayResult() const
  {
   long now=(long)TimeTradeServer();
   double result=AccountInfoDouble(ACCOUNT_PROFIT);
   if(!HistorySelect((datetime)(now-now%86400),(datetime)(now+86400)))
      return(0.0);
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong deal=HistoryDealGetTicket(i);
      if(deal==0 || !IsTradeDeal(deal))
         continue;
      result+=HistoryDealGetDouble(deal,DEAL_PROFIT)+HistoryDealGetDouble(deal,DEAL_SWAP);
      result+=HistoryDealGetDouble(deal,DEAL_COMMISSION)+HistoryDealGetDouble(deal,DEAL_FEE);
     }
   return(result);
  }
#endif
//+------------------------------------------------------------------+
