//+------------------------------------------------------------------+
//| OrderRules.mqh - what a symbol allows, and the platform's        |
//| request: the second half of COrders, included by Orders.mqh.     |
//+------------------------------------------------------------------+
#ifndef MEDULLA_ORDER_RULES_MQH
#define MEDULLA_ORDER_RULES_MQH
#include <Medulla\Orders.mqh>

//--- sl and tp on their right sides and at least the stops level away; 0 is no stop
bool COrders::StopsFit(const STrade &trade,const double reference_sl,const double reference_tp,SExecution &execution) const
  {
   double level=(double)SymbolInfoInteger(trade.symbol,SYMBOL_TRADE_STOPS_LEVEL)*SymbolInfoDouble(trade.symbol,SYMBOL_POINT)-1e-9;
   bool   buy=IsBuyKind(trade.kind);
   double room_sl=(buy ? reference_sl-trade.sl : trade.sl-reference_sl);
   double room_tp=(buy ? trade.tp-reference_tp : reference_tp-trade.tp);
   if(trade.sl>0.0 && room_sl<MathMax(level,0.0))
     {
      Refuse(execution,"STOPS_INVALID","sl "+PriceText(trade.symbol,trade.sl)+" is on the wrong side of the price or nearer than the stops level");
      return(false);
     }
   if(trade.tp>0.0 && room_tp<MathMax(level,0.0))
     {
      Refuse(execution,"STOPS_INVALID","tp "+PriceText(trade.symbol,trade.tp)+" is on the wrong side of the price or nearer than the stops level");
      return(false);
     }
   return(true);
  }

//--- a pending order's price against the market (reference: "Trade operations", stops level)
bool COrders::PendingFits(const STrade &trade,SExecution &execution) const
  {
   double bid=SymbolInfoDouble(trade.symbol,SYMBOL_BID);
   double ask=SymbolInfoDouble(trade.symbol,SYMBOL_ASK);
   double level=(double)SymbolInfoInteger(trade.symbol,SYMBOL_TRADE_STOPS_LEVEL)*SymbolInfoDouble(trade.symbol,SYMBOL_POINT)-1e-9;
   double room=0.0;
   switch(trade.kind)
     {
      case ORDER_TYPE_BUY_LIMIT:
         room=ask-trade.price;
         break;
      case ORDER_TYPE_SELL_LIMIT:
         room=trade.price-bid;
         break;
      case ORDER_TYPE_BUY_STOP:
      case ORDER_TYPE_BUY_STOP_LIMIT:
         room=trade.price-ask;
         break;
      default:
         room=bid-trade.price;
     }
   if(room<MathMax(level,0.0))
     {
      Refuse(execution,"STOPS_INVALID","price "+PriceText(trade.symbol,trade.price)+" is on the wrong side of the market or nearer than the stops level");
      return(false);
     }
   double entry=(IsStopLimitKind(trade.kind) ? trade.stop_limit : trade.price);
   return(StopsFit(trade,entry,entry,execution));
  }

bool COrders::IsFrozen(const string symbol,const double price) const
  {
   double level=(double)SymbolInfoInteger(symbol,SYMBOL_TRADE_FREEZE_LEVEL)*SymbolInfoDouble(symbol,SYMBOL_POINT);
   if(level<=0.0 || price<=0.0)
      return(false);
   double distance=MathMin(MathAbs(SymbolInfoDouble(symbol,SYMBOL_BID)-price),MathAbs(SymbolInfoDouble(symbol,SYMBOL_ASK)-price));
   return(distance<=level);
  }

//--- what the symbol allows. An exit is never held back by the EA's own reading of the levels: the broker decides.
bool COrders::Fits(const STrade &trade,SExecution &execution) const
  {
   double step=SymbolInfoDouble(trade.symbol,SYMBOL_VOLUME_STEP);
   double least=SymbolInfoDouble(trade.symbol,SYMBOL_VOLUME_MIN);
   double most=SymbolInfoDouble(trade.symbol,SYMBOL_VOLUME_MAX);
   bool   sized=(IsEntry(trade.cmd) || trade.cmd=="close");
   if(sized && (trade.volume<least-1e-9 || (trade.volume>most+1e-9 && IsEntry(trade.cmd)) ||
                MathAbs(MathRound(trade.volume/step)*step-trade.volume)>1e-9))
     {
      Refuse(execution,"VOLUME_INVALID",StringFormat("volume must be from %s to %s in steps of %s",PlainNumber(least,8),PlainNumber(most,8),PlainNumber(step,8)));
      return(false);
     }
   double bid=SymbolInfoDouble(trade.symbol,SYMBOL_BID);
   double ask=SymbolInfoDouble(trade.symbol,SYMBOL_ASK);
   if(trade.cmd=="open")
      return(StopsFit(trade,trade.kind==ORDER_TYPE_BUY ? bid : ask,trade.kind==ORDER_TYPE_BUY ? bid : ask,execution));
   if(trade.cmd=="place")
     {
      int modes=(int)SymbolInfoInteger(trade.symbol,SYMBOL_EXPIRATION_MODE);
      if(trade.expiration>0 && (modes&SYMBOL_EXPIRATION_SPECIFIED)==0)
        {
         Refuse(execution,"INVALID_ARGS","expiration: the broker takes none at a given time on this symbol");
         return(false);
        }
      return(PendingFits(trade,execution));
     }
   if(trade.cmd=="modify" && trade.on_position)
     {
      if(IsFrozen(trade.symbol,PositionGetDouble(POSITION_SL)) || IsFrozen(trade.symbol,PositionGetDouble(POSITION_TP)))
        {
         Refuse(execution,"STOPS_INVALID","the position's stops are within the freeze level");
         return(false);
        }
      STrade position=trade;   // `kind` is the closing side
      position.kind=(trade.kind==ORDER_TYPE_SELL ? ORDER_TYPE_BUY : ORDER_TYPE_SELL);
      double reference=(position.kind==ORDER_TYPE_BUY ? bid : ask);
      return(StopsFit(position,reference,reference,execution));
     }
   if(trade.cmd=="modify")
     {
      if(IsFrozen(trade.symbol,OrderGetDouble(ORDER_PRICE_OPEN)))
        {
         Refuse(execution,"STOPS_INVALID","the order's price is within the freeze level");
         return(false);
        }
      return(PendingFits(trade,execution));
     }
   return(true);
  }

//--- what to try, in this order, when the broker answers 10030. RETURN is forbidden in Market Execution and usual for pending orders.
int COrders::Fillings(const STrade &trade,ENUM_ORDER_TYPE_FILLING &fillings[]) const
  {
   int  flags=(int)SymbolInfoInteger(trade.symbol,SYMBOL_FILLING_MODE);
   bool pending=(trade.cmd=="place");
   ArrayResize(fillings,4);
   int count=0;
   if(pending)
      fillings[count++]=ORDER_FILLING_RETURN;
   if((flags&SYMBOL_FILLING_IOC)!=0)
      fillings[count++]=ORDER_FILLING_IOC;
   if((flags&SYMBOL_FILLING_FOK)!=0)
      fillings[count++]=ORDER_FILLING_FOK;
   if(!pending && ExecutionOf(trade.symbol)!=SYMBOL_TRADE_EXECUTION_MARKET)
      fillings[count++]=ORDER_FILLING_RETURN;
   if(count==0)
     {
      fillings[count++]=ORDER_FILLING_IOC;
      fillings[count++]=ORDER_FILLING_FOK;
     }
   ArrayResize(fillings,count);
   return(count);
  }

void COrders::Fill(const STrade &trade,const ENUM_ORDER_TYPE_FILLING filling,MqlTradeRequest &request) const
  {
   ZeroMemory(request);
   request.symbol=trade.symbol;
   request.magic=trade.magic;
   request.sl=trade.sl;
   request.tp=trade.tp;
   request.type=trade.kind;
   request.type_filling=filling;
   request.comment=trade.comment;
   if(trade.cmd=="open" || trade.cmd=="close")
     {
      request.action=TRADE_ACTION_DEAL;
      request.volume=trade.volume;
      request.deviation=trade.deviation;
      request.price=SymbolInfoDouble(trade.symbol,trade.kind==ORDER_TYPE_BUY ? SYMBOL_ASK : SYMBOL_BID);
      if(trade.cmd=="close")
        {
         request.position=trade.ticket;
         request.sl=0.0;
         request.tp=0.0;
        }
      return;
     }
   if(trade.cmd=="modify" && trade.on_position)
     {
      request.action=TRADE_ACTION_SLTP;
      request.position=trade.ticket;
      return;
     }
   if(trade.cmd=="cancel")
     {
      request.action=TRADE_ACTION_REMOVE;
      request.order=trade.ticket;
      return;
     }
   request.action=(trade.cmd=="place" ? TRADE_ACTION_PENDING : TRADE_ACTION_MODIFY);
   request.order=trade.ticket;
   request.volume=trade.volume;
   request.price=trade.price;
   request.stoplimit=trade.stop_limit;
   if(trade.expiration>0)
     {
      request.type_time=ORDER_TIME_SPECIFIED;
      request.expiration=ServerOfUtcMs(trade.expiration);
      return;
     }
   int modes=(int)SymbolInfoInteger(trade.symbol,SYMBOL_EXPIRATION_MODE);
   request.type_time=((modes&SYMBOL_EXPIRATION_GTC)!=0 || modes==0 ? ORDER_TIME_GTC : ORDER_TIME_DAY);
  }
#endif
//+------------------------------------------------------------------+
