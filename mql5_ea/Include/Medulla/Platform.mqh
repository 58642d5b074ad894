//+------------------------------------------------------------------+
//| Platform.mqh - the terminal's facts under names of the wire:     |
//| clocks, permissions, the broker's time zone.                     |
//+------------------------------------------------------------------+
#ifndef MEDULLA_PLATFORM_MQH
#define MEDULLA_PLATFORM_MQH
#include <Medulla\Json.mqh>

#define MEDULLA_VERSION "0.1.0"

//--- never goes back, whatever happens to the computer's calendar
long MonotonicMs()
  {
   return((long)(GetMicrosecondCount()/1000));
  }

//--- Unix milliseconds, UTC. The platform gives whole seconds: the milliseconds come from the monotonic clock.
long UtcMs()
  {
   static long base=0;
   long seconds=(long)TimeGMT()*1000;
   long now=base+MonotonicMs();
   if(base==0 || now<seconds || now>=seconds+1000)
     {
      base=seconds-MonotonicMs();
      now=seconds;
     }
   return(now);
  }

//--- seconds by which the broker's server is ahead of UTC, to the quarter of an hour (the two clocks differ by seconds)
long ServerOffset()
  {
   double quarters=(double)((long)TimeTradeServer()-(long)TimeGMT())/900.0;
   return((long)MathRound(quarters)*900);
  }

long UtcOfServerMs(const long server_ms)
  {
   return(server_ms-ServerOffset()*1000);
  }

datetime ServerOfUtcMs(const long utc_ms)
  {
   return((datetime)(utc_ms/1000+ServerOffset()));
  }

long CurrentLogin()
  {
   return(AccountInfoInteger(ACCOUNT_LOGIN));
  }

bool IsConnected()
  {
   return(TerminalInfoInteger(TERMINAL_CONNECTED)!=0);
  }

bool IsSynchronised()
  {
   return(IsConnected() && CurrentLogin()!=0 && SymbolIsSynchronized(Symbol()));
  }

//--- The platform does not say "investor password"; a connected account without permission to trade is what it looks like.
bool IsInvestorLogin()
  {
   return(IsConnected() && AccountInfoInteger(ACCOUNT_TRADE_ALLOWED)==0);
  }

string PermissionsJson()
  {
   string members="";
   JsonPut(members,"connected",JsonBool(IsConnected()));
   JsonPut(members,"synchronised",JsonBool(IsSynchronised()));
   JsonPut(members,"terminal_trade_allowed",JsonBool(TerminalInfoInteger(TERMINAL_TRADE_ALLOWED)!=0));
   JsonPut(members,"ea_trade_allowed",JsonBool(MQLInfoInteger(MQL_TRADE_ALLOWED)!=0));
   JsonPut(members,"account_trade_allowed",JsonBool(AccountInfoInteger(ACCOUNT_TRADE_ALLOWED)!=0));
   JsonPut(members,"account_expert_allowed",JsonBool(AccountInfoInteger(ACCOUNT_TRADE_EXPERT)!=0));
   JsonPut(members,"investor_login",JsonBool(IsInvestorLogin()));
   return(JsonObject(members));
  }

//--- what is missing for a trade, most outward first, as a person would look for it; "" when nothing is
string MissingPermissions()
  {
   string items="";
   if(!IsSynchronised())
      JsonItem(items,JsonText("synchronised data"));
   if(TerminalInfoInteger(TERMINAL_TRADE_ALLOWED)==0)
      JsonItem(items,JsonText("Algo Trading button"));
   if(MQLInfoInteger(MQL_TRADE_ALLOWED)==0)
      JsonItem(items,JsonText("EA's 'Allow Algo Trading'"));
   if(IsInvestorLogin())
      JsonItem(items,JsonText("trading password (logged in with the investor password)"));
   if(AccountInfoInteger(ACCOUNT_TRADE_EXPERT)==0)
      JsonItem(items,JsonText("account's permission for Expert Advisors"));
   return(items);
  }

//--- "1000-1999,7" holds 1500 and 7; "" holds nothing
bool ListHoldsNumber(const string list,const long number)
  {
   string parts[];
   int count=StringSplit(list,',',parts);
   for(int i=0; i<count; i++)
     {
      string part=parts[i];
      StringTrimLeft(part);
      StringTrimRight(part);
      int dash=StringFind(part,"-");
      string low=(dash<0 ? part : StringSubstr(part,0,dash));
      string high=(dash<0 ? part : StringSubstr(part,dash+1));
      if(IsDigits(low,18) && IsDigits(high,18) && number>=StringToInteger(low) && number<=StringToInteger(high))
         return(true);
     }
   return(false);
  }

bool ListHoldsText(const string list,const string text)
  {
   string parts[];
   int count=StringSplit(list,',',parts);
   for(int i=0; i<count; i++)
     {
      string part=parts[i];
      StringTrimLeft(part);
      StringTrimRight(part);
      if(part!="" && part==text)
         return(true);
     }
   return(false);
  }
#endif
//+------------------------------------------------------------------+
