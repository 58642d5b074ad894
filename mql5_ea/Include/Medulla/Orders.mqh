//+------------------------------------------------------------------+
//| Orders.mqh - reads the args of a trade, checks them against the  |
//| symbol, and fills the platform's request. Nothing is sent here.  |
//+------------------------------------------------------------------+
#ifndef MEDULLA_ORDERS_MQH
#define MEDULLA_ORDERS_MQH
#include <Medulla\Gate.mqh>
#include <Medulla\Wire.mqh>

//--- A trade as the executor wants it, with the broker's symbol name. Prices 0: none.
struct STrade
  {
   string            cmd;
   string            symbol;
   ENUM_ORDER_TYPE   kind;
   bool              on_position;     // modify: a position, else an order
   bool              is_part;         // of a close_all, which has the one result
   double            volume;
   double            price;
   double            stop_limit;
   double            sl;
   double            tp;
   long              expiration;      // UTC ms
   ulong             deviation;       // points
   ulong             magic;
   string            comment;
   string            tag;
   int               max_attempts;
   ulong             ticket;
  };

class COrders
  {
private:
   bool              Wrong(const string name,const string rule,SExecution &execution) const;
   bool              ReadPrice(const int args,const string name,double &price,SExecution &execution) const;
   bool              ReadTicket(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadMarks(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadCommon(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadSymbol(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadVolume(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadEntry(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadModify(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadClose(const int args,STrade &trade,SExecution &execution) const;
   bool              ReadCancel(const int args,STrade &trade,SExecution &execution) const;
   bool              StopsFit(const STrade &trade,const double reference_sl,const double reference_tp,SExecution &execution) const;
   bool              PendingFits(const STrade &trade,SExecution &execution) const;
   bool              IsFrozen(const string symbol,const double price) const;
public:
   bool              Read(const string cmd,const int args,STrade &trade,SExecution &execution) const;
   bool              SelectPosition(const ulong ticket,const bool any_magic,STrade &trade,SExecution &execution) const;
   bool              SelectOrder(const ulong ticket,const bool any_magic,STrade &trade,SExecution &execution) const;
   bool              Fits(const STrade &trade,SExecution &execution) const;
   int               Fillings(const STrade &trade,ENUM_ORDER_TYPE_FILLING &fillings[]) const;
   void              Fill(const STrade &trade,const ENUM_ORDER_TYPE_FILLING filling,MqlTradeRequest &request) const;
   bool              AnyMagic(const int args) const;
  };

COrders g_orders;

void ClearTrade(STrade &trade,const string cmd)
  {
   trade.cmd=cmd;
   trade.symbol="";
   trade.kind=ORDER_TYPE_BUY;
   trade.on_position=false;
   trade.is_part=false;
   trade.volume=0.0;
   trade.price=0.0;
   trade.stop_limit=0.0;
   trade.sl=0.0;
   trade.tp=0.0;
   trade.expiration=0;
   trade.deviation=0;
   trade.magic=0;
   trade.comment="";
   trade.tag="";
   trade.max_attempts=1;
   trade.ticket=0;
  }

bool COrders::Wrong(const string name,const string rule,SExecution &execution) const
  {
   Refuse(execution,"INVALID_ARGS",name+": "+rule);
   return(false);
  }

//--- an operator, who sits at the machine, may name any position
bool COrders::AnyMagic(const int args) const
  {
   return(g_request.Is(g_request.Find(args,"operator"),JSON_TRUE));
  }

//--- absent or null: unchanged; otherwise a decimal string, "0" only where it removes
bool COrders::ReadPrice(const int args,const string name,double &price,SExecution &execution) const
  {
   int node=g_request.Find(args,name);
   if(g_request.IsAbsent(node))
      return(true);
   if(!g_request.Is(node,JSON_TEXT) || !IsDecimal(g_request.Text(node)))
      return(Wrong(name,"must be a decimal string",execution));
   price=StringToDouble(g_request.Text(node));
   return(true);
  }

bool COrders::ReadTicket(const int args,STrade &trade,SExecution &execution) const
  {
   int node=g_request.Find(args,"ticket");
   if(!g_request.Is(node,JSON_TEXT) || !ParseUlong(g_request.Text(node),trade.ticket) || trade.ticket==0)
      return(Wrong("ticket","must be a string of digits",execution));
   return(true);
  }

bool COrders::ReadSymbol(const int args,STrade &trade,SExecution &execution) const
  {
   int node=g_request.Find(args,"symbol");
   if(!g_request.Is(node,JSON_TEXT))
      return(Wrong("symbol","must be a string",execution));
   trade.symbol=g_symbols.ToBroker(g_request.Text(node));
   if(trade.symbol!="")
      return(true);
   Refuse(execution,"SYMBOL_UNKNOWN","the broker has no symbol "+StringSubstr(g_request.Text(node),0,40));
   return(false);
  }

bool COrders::ReadVolume(const int args,STrade &trade,SExecution &execution) const
  {
   int node=g_request.Find(args,"volume");
   if(!g_request.Is(node,JSON_TEXT) || !IsDecimal(g_request.Text(node)))
      return(Wrong("volume","must be a decimal string",execution));
   trade.volume=StringToDouble(g_request.Text(node));
   if(trade.volume<=0.0)
      return(Wrong("volume","must be greater than 0",execution));
   return(true);
  }

//--- magic, comment and tag: by these a trade is found again
bool COrders::ReadMarks(const int args,STrade &trade,SExecution &execution) const
  {
   int magic=g_request.Find(args,"magic");
   if(!g_request.Is(magic,JSON_TEXT) || !ParseUlong(g_request.Text(magic),trade.magic))
      return(Wrong("magic","must be a string of digits",execution));
   trade.comment=g_request.Text(g_request.Find(args,"comment"));
   if(!IsTag(trade.comment,27) || StringFind(trade.comment,trade.tag)!=0)
      return(Wrong("comment","must begin with tag and have at most 27 characters of A-Z a-z 0-9 _ # -",execution));
   return(true);
  }

bool COrders::ReadCommon(const int args,STrade &trade,SExecution &execution) const
  {
   long deviation=0;
   long attempts=1;
   int  node=g_request.Find(args,"deviation");
   if(trade.cmd!="place" && (!g_request.Whole(node,deviation) || deviation<0 || deviation>1000000))
      return(Wrong("deviation","must be a whole number of points from 0 to 1000000",execution));
   node=g_request.Find(args,"max_attempts");
   if(!g_request.Whole(node,attempts) || attempts<1 || attempts>3)
      return(Wrong("max_attempts","must be a whole number from 1 to 3",execution));
   trade.tag=g_request.Text(g_request.Find(args,"tag"));
   if(StringLen(trade.tag)!=8 || !IsTag(trade.tag,8))
      return(Wrong("tag","must be 8 characters of A-Z a-z 0-9 _ # -",execution));
   trade.deviation=(ulong)deviation;
   trade.max_attempts=(int)attempts;
   return(true);
  }

bool COrders::ReadEntry(const int args,STrade &trade,SExecution &execution) const
  {
   string side=g_request.Text(g_request.Find(args,"side"));
   string kind=g_request.Text(g_request.Find(args,"kind"));
   if(!ReadSymbol(args,trade,execution) || !ReadVolume(args,trade,execution) || !ReadCommon(args,trade,execution) ||
      !ReadMarks(args,trade,execution))
      return(false);
   if(!ReadPrice(args,"sl",trade.sl,execution) || !ReadPrice(args,"tp",trade.tp,execution) ||
      !ReadPrice(args,"price",trade.price,execution) || !ReadPrice(args,"stop_limit",trade.stop_limit,execution))
      return(false);
   if(trade.cmd=="open")
     {
      if(side!="BUY" && side!="SELL")
         return(Wrong("side","must be BUY or SELL",execution));
      trade.kind=(side=="BUY" ? ORDER_TYPE_BUY : ORDER_TYPE_SELL);
      return(true);
     }
   if(!OrderKindOf(kind,trade.kind))
      return(Wrong("kind","must be BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP, BUY_STOP_LIMIT or SELL_STOP_LIMIT",execution));
   if(trade.price<=0.0)
      return(Wrong("price","is required",execution));
   if(IsStopLimitKind(trade.kind)!=(trade.stop_limit>0.0))
      return(Wrong("stop_limit","belongs to BUY_STOP_LIMIT and SELL_STOP_LIMIT, and to these alone",execution));
   int node=g_request.Find(args,"expiration");
   if(!g_request.IsAbsent(node) && (!g_request.Whole(node,trade.expiration) || trade.expiration<1))
      return(Wrong("expiration","must be Unix milliseconds",execution));
   return(true);
  }

bool COrders::SelectPosition(const ulong ticket,const bool any_magic,STrade &trade,SExecution &execution) const
  {
   if(!PositionSelectByTicket(ticket))
     {
      Refuse(execution,"NOT_FOUND","no open position "+TicketText(ticket));
      return(false);
     }
   trade.ticket=ticket;
   trade.symbol=PositionGetString(POSITION_SYMBOL);
   trade.magic=(ulong)PositionGetInteger(POSITION_MAGIC);
   trade.kind=((ENUM_POSITION_TYPE)PositionGetInteger(POSITION_TYPE)==POSITION_TYPE_BUY ? ORDER_TYPE_SELL : ORDER_TYPE_BUY);
   trade.sl=PositionGetDouble(POSITION_SL);
   trade.tp=PositionGetDouble(POSITION_TP);
   if(any_magic || g_gate.IsOwn(trade.magic))
      return(true);
   Refuse(execution,"LIMIT",StringFormat("position %I64u has magic %I64u, which is not the executor's (InpTouchForeign, InpOwnMagics)",ticket,trade.magic));
   return(false);
  }

bool COrders::SelectOrder(const ulong ticket,const bool any_magic,STrade &trade,SExecution &execution) const
  {
   if(!OrderSelect(ticket) || !IsPendingKind((ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE)))
     {
      Refuse(execution,"NOT_FOUND","no pending order "+TicketText(ticket));
      return(false);
     }
   trade.ticket=ticket;
   trade.symbol=OrderGetString(ORDER_SYMBOL);
   trade.magic=(ulong)OrderGetInteger(ORDER_MAGIC);
   trade.kind=(ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE);
   trade.volume=OrderGetDouble(ORDER_VOLUME_CURRENT);
   trade.price=OrderGetDouble(ORDER_PRICE_OPEN);
   trade.stop_limit=OrderGetDouble(ORDER_PRICE_STOPLIMIT);
   trade.sl=OrderGetDouble(ORDER_SL);
   trade.tp=OrderGetDouble(ORDER_TP);
   long expiration=OrderGetInteger(ORDER_TIME_EXPIRATION);
   trade.expiration=(expiration>0 ? UtcOfServerMs(expiration*1000) : 0);
   if(any_magic || g_gate.IsOwn(trade.magic))
      return(true);
   Refuse(execution,"LIMIT",StringFormat("order %I64u has magic %I64u, which is not the executor's (InpTouchForeign, InpOwnMagics)",ticket,trade.magic));
   return(false);
  }

bool COrders::ReadModify(const int args,STrade &trade,SExecution &execution) const
  {
   string target=g_request.Text(g_request.Find(args,"target"));
   trade.on_position=(target=="position");
   if(!trade.on_position && target!="order")
      return(Wrong("target","must be position or order",execution));
   if(!ReadTicket(args,trade,execution))
      return(false);
   if(trade.on_position)
     {
      if(!SelectPosition(trade.ticket,AnyMagic(args),trade,execution))
         return(false);
      trade.volume=PositionGetDouble(POSITION_VOLUME);
     }
   else
      if(!SelectOrder(trade.ticket,AnyMagic(args),trade,execution))
         return(false);
   double price=trade.price;
   if(!ReadPrice(args,"sl",trade.sl,execution) || !ReadPrice(args,"tp",trade.tp,execution) ||
      !ReadPrice(args,"price",price,execution) || !ReadPrice(args,"stop_limit",trade.stop_limit,execution))
      return(false);
   int node=g_request.Find(args,"expiration");
   if(!g_request.IsAbsent(node) && (!g_request.Whole(node,trade.expiration) || trade.expiration<0))
      return(Wrong("expiration","must be Unix milliseconds, 0 for none",execution));
   if(!trade.on_position && price<=0.0)
      return(Wrong("price","cannot be removed",execution));
   trade.price=price;
   return(true);
  }

bool COrders::ReadClose(const int args,STrade &trade,SExecution &execution) const
  {
   if(!ReadTicket(args,trade,execution) || !ReadCommon(args,trade,execution))
      return(false);
   bool partial=!g_request.IsAbsent(g_request.Find(args,"volume"));
   if(partial && !ReadVolume(args,trade,execution))
      return(false);
   if(!SelectPosition(trade.ticket,AnyMagic(args),trade,execution))
      return(false);
   double open=PositionGetDouble(POSITION_VOLUME);
   if(!partial)
      trade.volume=open;
   if(trade.volume>open+1e-9)
     {
      Refuse(execution,"VOLUME_INVALID","the position has only "+VolumeText(trade.symbol,open)+" lots");
      return(false);
     }
   trade.comment=trade.tag;
   return(true);
  }

bool COrders::ReadCancel(const int args,STrade &trade,SExecution &execution) const
  {
   return(ReadTicket(args,trade,execution) && SelectOrder(trade.ticket,AnyMagic(args),trade,execution));
  }

bool COrders::Read(const string cmd,const int args,STrade &trade,SExecution &execution) const
  {
   ClearTrade(trade,cmd);
   bool good=false;
   if(IsEntry(cmd))
      good=ReadEntry(args,trade,execution);
   else
      if(cmd=="modify")
         good=ReadModify(args,trade,execution);
      else
         if(cmd=="close")
            good=ReadClose(args,trade,execution);
         else
            if(cmd=="cancel")
               good=ReadCancel(args,trade,execution);
            else
               good=ReadCommon(args,trade,execution);
   execution.symbol=trade.symbol;
   execution.requested=trade.volume;
   if(!good || trade.symbol=="")
      return(good);
   trade.price=OnTickGrid(trade.symbol,trade.price);
   trade.stop_limit=OnTickGrid(trade.symbol,trade.stop_limit);
   trade.sl=OnTickGrid(trade.symbol,trade.sl);
   trade.tp=OnTickGrid(trade.symbol,trade.tp);
   return(true);
  }
#include <Medulla\OrderRules.mqh>
#endif
//+------------------------------------------------------------------+
