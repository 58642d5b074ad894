//+------------------------------------------------------------------+
//| Symbols.mqh - the wire's symbol names and the broker's, and how  |
//| prices and volumes of a symbol are written.                      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_SYMBOLS_MQH
#define MEDULLA_SYMBOLS_MQH
#include <Medulla\Platform.mqh>
#include <Medulla\Inputs.mqh>

//--- Which name stands for which. The explicit map comes first, then prefix and suffix, then the name as it is.
class CSymbols
  {
private:
   bool              Exists(const string broker_name) const;
   string            Mapped(const string name,const bool to_broker) const;
public:
   string            ToBroker(const string wire) const;
   string            ToWire(const string broker_name) const;
  };

CSymbols g_symbols;

bool CSymbols::Exists(const string broker_name) const
  {
   bool custom=false;
   return(SymbolExist(broker_name,custom));
  }

string CSymbols::Mapped(const string name,const bool to_broker) const
  {
   string pairs[];
   int count=StringSplit(InpSymbolMap,',',pairs);
   for(int i=0; i<count; i++)
     {
      int equals=StringFind(pairs[i],"=");
      if(equals<1)
         continue;
      string wire=StringSubstr(pairs[i],0,equals);
      string broker_name=StringSubstr(pairs[i],equals+1);
      StringTrimLeft(wire);
      StringTrimRight(wire);
      StringTrimLeft(broker_name);
      StringTrimRight(broker_name);
      if(to_broker && wire==name)
         return(broker_name);
      if(!to_broker && broker_name==name)
         return(wire);
     }
   return("");
  }

//--- the broker's name, selected in Market Watch; "" if the broker has no such symbol
string CSymbols::ToBroker(const string wire) const
  {
   if(wire=="" || StringLen(wire)>31)
      return("");
   string name=Mapped(wire,true);
   if(name=="" && (InpSymbolPrefix!="" || InpSymbolSuffix!="") && Exists(InpSymbolPrefix+wire+InpSymbolSuffix))
      name=InpSymbolPrefix+wire+InpSymbolSuffix;
   if(name=="")
      name=wire;
   if(!Exists(name) || !SymbolSelect(name,true))
      return("");
   return(name);
  }

string CSymbols::ToWire(const string broker_name) const
  {
   string wire=Mapped(broker_name,false);
   if(wire!="")
      return(wire);
   int before=StringLen(InpSymbolPrefix);
   int after=StringLen(InpSymbolSuffix);
   int length=StringLen(broker_name);
   if(before+after==0 || length<=before+after)
      return(broker_name);
   if(StringSubstr(broker_name,0,before)!=InpSymbolPrefix || StringSubstr(broker_name,length-after)!=InpSymbolSuffix)
      return(broker_name);
   return(StringSubstr(broker_name,before,length-before-after));
  }

int SymbolDigits(const string broker_name)
  {
   return((int)SymbolInfoInteger(broker_name,SYMBOL_DIGITS));
  }

//--- a netting position's open price is an average and may have more digits than the symbol
string PriceText(const string broker_name,const double price)
  {
   int digits=SymbolDigits(broker_name);
   if(MathAbs(NormalizeDouble(price,digits)-price)<1e-9)
      return(DoubleToString(price,digits));
   return(PlainNumber(price,8));
  }

string JsonPrice(const string broker_name,const double price)
  {
   return(price>0.0 ? JsonText(PriceText(broker_name,price)) : "null");
  }

string VolumeText(const string broker_name,const double volume)
  {
   int digits=DecimalsOf(SymbolInfoDouble(broker_name,SYMBOL_VOLUME_STEP));
   if(MathAbs(NormalizeDouble(volume,digits)-volume)<1e-9)
      return(DoubleToString(volume,digits));
   return(PlainNumber(volume,8));
  }

string MoneyText(const double money)
  {
   return(DoubleToString(money,(int)AccountInfoInteger(ACCOUNT_CURRENCY_DIGITS)));
  }

//--- nearest price on the symbol's tick grid
double OnTickGrid(const string broker_name,const double price)
  {
   double tick=SymbolInfoDouble(broker_name,SYMBOL_TRADE_TICK_SIZE);
   if(tick<=0.0)
      tick=SymbolInfoDouble(broker_name,SYMBOL_POINT);
   if(tick<=0.0 || price<=0.0)
      return(price);
   return(NormalizeDouble(MathRound(price/tick)*tick,SymbolDigits(broker_name)));
  }

//--- whether the broker's trading session of the symbol is open now, by the server's clock
bool IsSessionOpen(const string broker_name)
  {
   MqlDateTime now={};
   datetime server=TimeTradeServer();
   TimeToStruct(server,now);
   long second=(long)server%86400;
   for(uint i=0; i<10; i++)
     {
      datetime from=0;
      datetime to=0;
      if(!SymbolInfoSessionTrade(broker_name,(ENUM_DAY_OF_WEEK)now.day_of_week,i,from,to))
         return(false);
      if(second>=(long)from && second<(long)to)
         return(true);
     }
   return(false);
  }
#endif
//+------------------------------------------------------------------+
