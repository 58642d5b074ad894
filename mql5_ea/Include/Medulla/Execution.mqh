//+------------------------------------------------------------------+
//| Execution.mqh - what became of a trade, and what a return code   |
//| means: done, rejected, worth another attempt, or ambiguous.      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_EXECUTION_MQH
#define MEDULLA_EXECUTION_MQH
#include <Medulla\Objects.mqh>

struct SExecution
  {
   string            state;           // done partial rejected refused unknown
   string            code;            // of EA_PROTOCOL.md, section 7, when refused
   long              retcode;         // 0: the broker was not asked, or did not say
   bool              asked;
   ulong             order;
   ulong             deal;
   ulong             position;
   string            symbol;          // the broker's name; decides how numbers are written
   double            volume;
   double            requested;
   double            price;
   double            quote;
   int               attempts;
   string            message;
   ulong             ticket;          // inside close_all: the position
   string            details;         // of close_all: items
   bool              has_details;
  };

void ClearExecution(SExecution &execution)
  {
   execution.state="refused";
   execution.code="";
   execution.retcode=0;
   execution.asked=false;
   execution.order=0;
   execution.deal=0;
   execution.position=0;
   execution.symbol="";
   execution.volume=0.0;
   execution.requested=0.0;
   execution.price=0.0;
   execution.quote=0.0;
   execution.attempts=0;
   execution.message="";
   execution.ticket=0;
   execution.details="";
   execution.has_details=false;
  }

void Refuse(SExecution &execution,const string code,const string message)
  {
   execution.state="refused";
   execution.code=code;
   execution.message=message;
  }

string JsonTicket(const ulong ticket)
  {
   return(ticket>0 ? JsonText(TicketText(ticket)) : "null");
  }

string JsonVolume(const string symbol,const double volume)
  {
   return(JsonText(symbol=="" ? PlainNumber(volume,8) : VolumeText(symbol,volume)));
  }

string ExecutionMembers(const SExecution &execution,const bool replayed)
  {
   string members="";
   bool   priced=(execution.symbol!="" && execution.price>0.0);
   JsonPutText(members,"state",execution.state);
   JsonPut(members,"retcode",execution.asked ? IntegerToString(execution.retcode) : "null");
   JsonPut(members,"order",JsonTicket(execution.order));
   JsonPut(members,"deal",JsonTicket(execution.deal));
   JsonPut(members,"position",JsonTicket(execution.position));
   JsonPut(members,"volume",JsonVolume(execution.symbol,execution.volume));
   JsonPut(members,"requested",execution.requested>0.0 ? JsonVolume(execution.symbol,execution.requested) : "null");
   JsonPut(members,"price",priced ? JsonPrice(execution.symbol,execution.price) : "null");
   JsonPut(members,"quote",execution.symbol!="" ? JsonPrice(execution.symbol,execution.quote) : "null");
   JsonPutWhole(members,"attempts",execution.attempts);
   JsonPut(members,"replayed",JsonBool(replayed));
   JsonPut(members,"message",execution.message=="" ? "null" : JsonText(execution.message));
   if(execution.ticket>0)
      JsonPut(members,"ticket",JsonTicket(execution.ticket));
   if(execution.has_details)
      JsonPut(members,"details",JsonList(execution.details));
   return(members);
  }

//--- certainly nothing was done, and it may pass by itself
bool IsTransient(const uint retcode)
  {
   return(retcode==TRADE_RETCODE_REQUOTE || retcode==TRADE_RETCODE_PRICE_CHANGED || retcode==TRADE_RETCODE_PRICE_OFF ||
          retcode==TRADE_RETCODE_TOO_MANY_REQUESTS);
  }

//--- certainly nothing was done. Source: MQL5 reference, "Return Codes of the Trade Server"; what is not listed is ambiguous.
bool IsRejection(const uint retcode)
  {
   if(IsTransient(retcode) || retcode==TRADE_RETCODE_REJECT || retcode==10007)
      return(true);
   if(retcode>=10013 && retcode<=10027)
      return(true);
   return(retcode==TRADE_RETCODE_FROZEN || retcode==TRADE_RETCODE_INVALID_FILL || (retcode>=10032 && retcode<=10036) ||
          (retcode>=10038 && retcode<=10046));
  }

string RetcodeText(const uint retcode)
  {
   switch(retcode)
     {
      case 10004:
         return("requote");
      case 10006:
         return("rejected by the broker");
      case 10007:
         return("cancelled by the trader");
      case 10012:
         return("the broker did not answer in time");
      case 10013:
         return("invalid request");
      case 10014:
         return("invalid volume");
      case 10015:
         return("invalid price");
      case 10016:
         return("invalid stops");
      case 10017:
         return("trading is disabled");
      case 10018:
         return("market closed");
      case 10019:
         return("not enough money");
      case 10020:
         return("the price changed");
      case 10021:
         return("no quotes");
      case 10022:
         return("invalid expiration");
      case 10024:
         return("too many requests");
      case 10026:
         return("the server does not allow automated trading");
      case 10027:
         return("the terminal does not allow automated trading");
      case 10028:
         return("the request is locked");
      case 10029:
         return("the order or position is frozen");
      case 10030:
         return("the filling mode is not supported");
      case 10031:
         return("no connection to the trade server");
      case 10034:
         return("the broker's volume limit on this symbol");
      case 10036:
         return("the position is closed already");
      case 10045:
         return("positions must be closed first in, first out");
      default:
         return(StringFormat("return code %u",retcode));
     }
  }
#endif
//+------------------------------------------------------------------+
