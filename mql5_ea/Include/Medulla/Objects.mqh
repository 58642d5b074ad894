//+------------------------------------------------------------------+
//| Objects.mqh - the terminal's objects as the wire writes them:    |
//| EA_PROTOCOL.md, section 5. Only translation; nothing is decided. |
//+------------------------------------------------------------------+
#ifndef MEDULLA_OBJECTS_MQH
#define MEDULLA_OBJECTS_MQH
#include <Medulla\Symbols.mqh>

string AccountModeText()
  {
   switch((ENUM_ACCOUNT_TRADE_MODE)AccountInfoInteger(ACCOUNT_TRADE_MODE))
     {
      case ACCOUNT_TRADE_MODE_DEMO:
         return("demo");
      case ACCOUNT_TRADE_MODE_CONTEST:
         return("contest");
      default:
         return("real");
     }
  }

bool IsHedging()
  {
   return((ENUM_ACCOUNT_MARGIN_MODE)AccountInfoInteger(ACCOUNT_MARGIN_MODE)==ACCOUNT_MARGIN_MODE_RETAIL_HEDGING);
  }

string MarginModeText()
  {
   if(IsHedging())
      return("hedging");
   if((ENUM_ACCOUNT_MARGIN_MODE)AccountInfoInteger(ACCOUNT_MARGIN_MODE)==ACCOUNT_MARGIN_MODE_EXCHANGE)
      return("exchange");
   return("netting");
  }

string AccountJson()
  {
   string members="";
   JsonPutText(members,"login",IntegerToString(CurrentLogin()));
   JsonPutText(members,"server",AccountInfoString(ACCOUNT_SERVER));
   JsonPutText(members,"company",AccountInfoString(ACCOUNT_COMPANY));
   JsonPutText(members,"currency",AccountInfoString(ACCOUNT_CURRENCY));
   JsonPutText(members,"mode",AccountModeText());
   JsonPutText(members,"margin_mode",MarginModeText());
   JsonPutWhole(members,"leverage",AccountInfoInteger(ACCOUNT_LEVERAGE));
   JsonPutText(members,"balance",MoneyText(AccountInfoDouble(ACCOUNT_BALANCE)));
   JsonPutText(members,"credit",MoneyText(AccountInfoDouble(ACCOUNT_CREDIT)));
   JsonPutText(members,"equity",MoneyText(AccountInfoDouble(ACCOUNT_EQUITY)));
   JsonPutText(members,"margin",MoneyText(AccountInfoDouble(ACCOUNT_MARGIN)));
   JsonPutText(members,"free_margin",MoneyText(AccountInfoDouble(ACCOUNT_MARGIN_FREE)));
   return(JsonObject(members));
  }

string TradeModeText(const string symbol)
  {
   switch((ENUM_SYMBOL_TRADE_MODE)SymbolInfoInteger(symbol,SYMBOL_TRADE_MODE))
     {
      case SYMBOL_TRADE_MODE_FULL:
         return("full");
      case SYMBOL_TRADE_MODE_LONGONLY:
         return("long_only");
      case SYMBOL_TRADE_MODE_SHORTONLY:
         return("short_only");
      case SYMBOL_TRADE_MODE_CLOSEONLY:
         return("close_only");
      default:
         return("disabled");
     }
  }

ENUM_SYMBOL_TRADE_EXECUTION ExecutionOf(const string symbol)
  {
   return((ENUM_SYMBOL_TRADE_EXECUTION)SymbolInfoInteger(symbol,SYMBOL_TRADE_EXEMODE));
  }

string ExecutionText(const string symbol)
  {
   switch(ExecutionOf(symbol))
     {
      case SYMBOL_TRADE_EXECUTION_REQUEST:
         return("request");
      case SYMBOL_TRADE_EXECUTION_INSTANT:
         return("instant");
      case SYMBOL_TRADE_EXECUTION_MARKET:
         return("market");
      default:
         return("exchange");
     }
  }

//--- RETURN has no flag of its own: it is there in every mode but Market Execution
string FillingJson(const string symbol)
  {
   int flags=(int)SymbolInfoInteger(symbol,SYMBOL_FILLING_MODE);
   string items="";
   if((flags&SYMBOL_FILLING_FOK)!=0)
      JsonItem(items,"\"fok\"");
   if((flags&SYMBOL_FILLING_IOC)!=0)
      JsonItem(items,"\"ioc\"");
   if((flags&SYMBOL_FILLING_BOC)!=0)
      JsonItem(items,"\"boc\"");
   if(ExecutionOf(symbol)!=SYMBOL_TRADE_EXECUTION_MARKET)
      JsonItem(items,"\"return\"");
   return(JsonList(items));
  }

string SymbolJson(const string symbol)
  {
   double margin=0.0;
   if(!OrderCalcMargin(ORDER_TYPE_BUY,symbol,1.0,SymbolInfoDouble(symbol,SYMBOL_ASK),margin))
      margin=0.0;
   string members="";
   JsonPutText(members,"symbol",g_symbols.ToWire(symbol));
   JsonPutWhole(members,"digits",SymbolDigits(symbol));
   JsonPutText(members,"point",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_POINT),8));
   JsonPutText(members,"tick_size",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_TRADE_TICK_SIZE),8));
   JsonPutText(members,"tick_value",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_TRADE_TICK_VALUE),8));
   JsonPutText(members,"contract_size",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_TRADE_CONTRACT_SIZE),8));
   JsonPutText(members,"volume_min",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_VOLUME_MIN),8));
   JsonPutText(members,"volume_max",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_VOLUME_MAX),8));
   JsonPutText(members,"volume_step",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_VOLUME_STEP),8));
   JsonPutText(members,"volume_limit",PlainNumber(SymbolInfoDouble(symbol,SYMBOL_VOLUME_LIMIT),8));
   JsonPutWhole(members,"stops_level",SymbolInfoInteger(symbol,SYMBOL_TRADE_STOPS_LEVEL));
   JsonPutWhole(members,"freeze_level",SymbolInfoInteger(symbol,SYMBOL_TRADE_FREEZE_LEVEL));
   JsonPutText(members,"trade_mode",TradeModeText(symbol));
   JsonPut(members,"filling",FillingJson(symbol));
   JsonPutText(members,"execution",ExecutionText(symbol));
   JsonPutText(members,"margin_per_lot",MoneyText(margin));
   JsonPutText(members,"currency_profit",SymbolInfoString(symbol,SYMBOL_CURRENCY_PROFIT));
   JsonPut(members,"session_open",JsonBool(IsSessionOpen(symbol)));
   return(JsonObject(members));
  }

string QuoteJson(const string symbol,const MqlTick &tick)
  {
   string members="";
   JsonPutText(members,"symbol",g_symbols.ToWire(symbol));
   JsonPutText(members,"bid",PriceText(symbol,tick.bid));
   JsonPutText(members,"ask",PriceText(symbol,tick.ask));
   JsonPutWhole(members,"time",UtcOfServerMs(tick.time_msc));
   JsonPutWhole(members,"volume",(long)tick.volume);
   return(JsonObject(members));
  }

//--- a symbol without a price yet has no quote
bool CurrentQuote(const string symbol,MqlTick &tick)
  {
   return(SymbolInfoTick(symbol,tick) && tick.bid>0.0 && tick.ask>0.0);
  }

//--- of the position that is selected
string PositionJson()
  {
   string symbol=PositionGetString(POSITION_SYMBOL);
   bool   buy=((ENUM_POSITION_TYPE)PositionGetInteger(POSITION_TYPE)==POSITION_TYPE_BUY);
   string members="";
   JsonPutText(members,"ticket",TicketText((ulong)PositionGetInteger(POSITION_TICKET)));
   JsonPutText(members,"identifier",TicketText((ulong)PositionGetInteger(POSITION_IDENTIFIER)));
   JsonPutText(members,"symbol",g_symbols.ToWire(symbol));
   JsonPutText(members,"side",buy ? "BUY" : "SELL");
   JsonPutText(members,"volume",VolumeText(symbol,PositionGetDouble(POSITION_VOLUME)));
   JsonPutText(members,"open_price",PriceText(symbol,PositionGetDouble(POSITION_PRICE_OPEN)));
   JsonPut(members,"sl",JsonPrice(symbol,PositionGetDouble(POSITION_SL)));
   JsonPut(members,"tp",JsonPrice(symbol,PositionGetDouble(POSITION_TP)));
   JsonPutText(members,"swap",MoneyText(PositionGetDouble(POSITION_SWAP)));
   JsonPutText(members,"profit",MoneyText(PositionGetDouble(POSITION_PROFIT)));
   JsonPutText(members,"magic",TicketText((ulong)PositionGetInteger(POSITION_MAGIC)));
   JsonPutText(members,"comment",PositionGetString(POSITION_COMMENT));
   JsonPutWhole(members,"opened_at",UtcOfServerMs(PositionGetInteger(POSITION_TIME_MSC)));
   JsonPut(members,"current_price",JsonPrice(symbol,PositionGetDouble(POSITION_PRICE_CURRENT)));
   return(JsonObject(members));
  }

string OrderKindText(const ENUM_ORDER_TYPE kind)
  {
   switch(kind)
     {
      case ORDER_TYPE_BUY_LIMIT:
         return("BUY_LIMIT");
      case ORDER_TYPE_SELL_LIMIT:
         return("SELL_LIMIT");
      case ORDER_TYPE_BUY_STOP:
         return("BUY_STOP");
      case ORDER_TYPE_SELL_STOP:
         return("SELL_STOP");
      case ORDER_TYPE_BUY_STOP_LIMIT:
         return("BUY_STOP_LIMIT");
      case ORDER_TYPE_SELL_STOP_LIMIT:
         return("SELL_STOP_LIMIT");
      default:
         return("");
     }
  }

bool OrderKindOf(const string text,ENUM_ORDER_TYPE &kind)
  {
   for(int i=(int)ORDER_TYPE_BUY_LIMIT; i<=(int)ORDER_TYPE_SELL_STOP_LIMIT; i++)
      if(text!="" && OrderKindText((ENUM_ORDER_TYPE)i)==text)
        {
         kind=(ENUM_ORDER_TYPE)i;
         return(true);
        }
   return(false);
  }

bool IsBuyKind(const ENUM_ORDER_TYPE kind)
  {
   return(kind==ORDER_TYPE_BUY || kind==ORDER_TYPE_BUY_LIMIT || kind==ORDER_TYPE_BUY_STOP || kind==ORDER_TYPE_BUY_STOP_LIMIT);
  }

bool IsStopLimitKind(const ENUM_ORDER_TYPE kind)
  {
   return(kind==ORDER_TYPE_BUY_STOP_LIMIT || kind==ORDER_TYPE_SELL_STOP_LIMIT);
  }

//--- of the order that is selected; market orders on their way have no kind of the wire and are left out by the callers
string OrderJson()
  {
   string symbol=OrderGetString(ORDER_SYMBOL);
   ENUM_ORDER_TYPE kind=(ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE);
   long   expiration=OrderGetInteger(ORDER_TIME_EXPIRATION);
   string members="";
   JsonPutText(members,"ticket",TicketText((ulong)OrderGetInteger(ORDER_TICKET)));
   JsonPutText(members,"symbol",g_symbols.ToWire(symbol));
   JsonPutText(members,"kind",OrderKindText(kind));
   JsonPutText(members,"volume",VolumeText(symbol,OrderGetDouble(ORDER_VOLUME_CURRENT)));
   JsonPutText(members,"price",PriceText(symbol,OrderGetDouble(ORDER_PRICE_OPEN)));
   JsonPut(members,"stop_limit",JsonPrice(symbol,OrderGetDouble(ORDER_PRICE_STOPLIMIT)));
   JsonPut(members,"sl",JsonPrice(symbol,OrderGetDouble(ORDER_SL)));
   JsonPut(members,"tp",JsonPrice(symbol,OrderGetDouble(ORDER_TP)));
   JsonPut(members,"expiration",expiration>0 ? IntegerToString(UtcOfServerMs(expiration*1000)) : "null");
   JsonPutText(members,"magic",TicketText((ulong)OrderGetInteger(ORDER_MAGIC)));
   JsonPutText(members,"comment",OrderGetString(ORDER_COMMENT));
   JsonPutWhole(members,"placed_at",UtcOfServerMs(OrderGetInteger(ORDER_TIME_SETUP_MSC)));
   return(JsonObject(members));
  }

bool IsPendingKind(const ENUM_ORDER_TYPE kind)
  {
   return(OrderKindText(kind)!="");
  }

string DealReasonText(const ENUM_DEAL_REASON reason)
  {
   switch(reason)
     {
      case DEAL_REASON_CLIENT:
      case DEAL_REASON_MOBILE:
      case DEAL_REASON_WEB:
         return("client");
      case DEAL_REASON_EXPERT:
         return("expert");
      case DEAL_REASON_SL:
         return("sl");
      case DEAL_REASON_TP:
         return("tp");
      case DEAL_REASON_SO:
         return("so");
      default:
         return("other");
     }
  }

string DealEntryText(const ENUM_DEAL_ENTRY entry)
  {
   switch(entry)
     {
      case DEAL_ENTRY_IN:
         return("in");
      case DEAL_ENTRY_OUT:
         return("out");
      case DEAL_ENTRY_INOUT:
         return("inout");
      default:
         return("out_by");
     }
  }

bool IsTradeDeal(const ulong deal)
  {
   ENUM_DEAL_TYPE type=(ENUM_DEAL_TYPE)HistoryDealGetInteger(deal,DEAL_TYPE);
   return(type==DEAL_TYPE_BUY || type==DEAL_TYPE_SELL);
  }

//--- of a deal in the selected history
string DealJson(const ulong deal)
  {
   string symbol=HistoryDealGetString(deal,DEAL_SYMBOL);
   bool   buy=((ENUM_DEAL_TYPE)HistoryDealGetInteger(deal,DEAL_TYPE)==DEAL_TYPE_BUY);
   string members="";
   JsonPutText(members,"ticket",TicketText(deal));
   JsonPutText(members,"order",TicketText((ulong)HistoryDealGetInteger(deal,DEAL_ORDER)));
   JsonPutText(members,"position",TicketText((ulong)HistoryDealGetInteger(deal,DEAL_POSITION_ID)));
   JsonPutText(members,"symbol",g_symbols.ToWire(symbol));
   JsonPutText(members,"side",buy ? "BUY" : "SELL");
   JsonPutText(members,"volume",VolumeText(symbol,HistoryDealGetDouble(deal,DEAL_VOLUME)));
   JsonPutText(members,"price",PriceText(symbol,HistoryDealGetDouble(deal,DEAL_PRICE)));
   JsonPutText(members,"profit",MoneyText(HistoryDealGetDouble(deal,DEAL_PROFIT)));
   JsonPutText(members,"swap",MoneyText(HistoryDealGetDouble(deal,DEAL_SWAP)));
   JsonPutText(members,"commission",MoneyText(HistoryDealGetDouble(deal,DEAL_COMMISSION)+HistoryDealGetDouble(deal,DEAL_FEE)));
   JsonPutText(members,"magic",TicketText((ulong)HistoryDealGetInteger(deal,DEAL_MAGIC)));
   JsonPutText(members,"comment",HistoryDealGetString(deal,DEAL_COMMENT));
   JsonPutText(members,"reason",DealReasonText((ENUM_DEAL_REASON)HistoryDealGetInteger(deal,DEAL_REASON)));
   JsonPutText(members,"entry",DealEntryText((ENUM_DEAL_ENTRY)HistoryDealGetInteger(deal,DEAL_ENTRY)));
   JsonPutWhole(members,"time",UtcOfServerMs(HistoryDealGetInteger(deal,DEAL_TIME_MSC)));
   return(JsonObject(members));
  }

string PositionsJson()
  {
   string items="";
   for(int i=0; i<PositionsTotal(); i++)
      if(PositionGetTicket(i)>0)
         JsonItem(items,PositionJson());
   return(JsonList(items));
  }

string OrdersJson()
  {
   string items="";
   for(int i=0; i<OrdersTotal(); i++)
      if(OrderGetTicket(i)>0 && IsPendingKind((ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE)))
         JsonItem(items,OrderJson());
   return(JsonList(items));
  }

//--- ticket of the open position with this identifier, or the identifier itself when it is closed; leaves it selected if open
ulong PositionOfIdentifier(const ulong identifier)
  {
   for(int i=0; i<PositionsTotal(); i++)
     {
      ulong ticket=PositionGetTicket(i);
      if(ticket>0 && (ulong)PositionGetInteger(POSITION_IDENTIFIER)==identifier)
         return(ticket);
     }
   return(identifier);
  }
#endif
//+------------------------------------------------------------------+
