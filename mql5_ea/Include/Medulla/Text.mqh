//+------------------------------------------------------------------+
//| Text.mqh - bytes, hex, decimal strings.                          |
//| Numbers leave the EA as decimal strings and come in as such:     |
//| EA_PROTOCOL.md, section 2. Nothing about trading belongs here.   |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TEXT_MQH
#define MEDULLA_TEXT_MQH

//--- UTF-8 without the terminator that StringToCharArray appends
void BytesOf(const string text,uchar &bytes[])
  {
   ArrayResize(bytes,0);
   int count=StringToCharArray(text,bytes,0,WHOLE_ARRAY,CP_UTF8);
   ArrayResize(bytes,MathMax(count-1,0));
  }

string TextOf(const uchar &bytes[],const int begin,const int count)
  {
   if(count<=0)
      return("");
   return(CharArrayToString(bytes,begin,count,CP_UTF8));
  }

void AppendBytes(uchar &to[],const uchar &from[])
  {
   int at=ArraySize(to);
   int count=ArraySize(from);
   ArrayResize(to,at+count,4096);
   if(count>0)
      ArrayCopy(to,from,at,0,count);
  }

string HexOf(const uchar &bytes[])
  {
   string hex="";
   for(int i=0; i<ArraySize(bytes); i++)
      hex+=StringFormat("%02x",(int)bytes[i]);
   return(hex);
  }

int HexDigit(const ushort unit)
  {
   if(unit>='0' && unit<='9')
      return((int)unit-'0');
   if(unit>='a' && unit<='f')
      return((int)unit-'a'+10);
   return(-1);
  }

bool IsHex(const string text,const int length)
  {
   if(StringLen(text)!=length)
      return(false);
   for(int i=0; i<length; i++)
      if(HexDigit(StringGetCharacter(text,i))<0)
         return(false);
   return(true);
  }

bool BytesOfHex(const string hex,uchar &bytes[])
  {
   int length=StringLen(hex);
   if(length%2!=0 || !IsHex(hex,length))
      return(false);
   ArrayResize(bytes,length/2);
   for(int i=0; i<length/2; i++)
      bytes[i]=(uchar)(HexDigit(StringGetCharacter(hex,2*i))*16+HexDigit(StringGetCharacter(hex,2*i+1)));
   return(true);
  }

bool IsDigits(const string text,const int longest)
  {
   int length=StringLen(text);
   if(length<1 || length>longest)
      return(false);
   for(int i=0; i<length; i++)
     {
      ushort unit=StringGetCharacter(text,i);
      if(unit<'0' || unit>'9')
         return(false);
     }
   return(true);
  }

//--- 0 and above, at most 15 digits on each side of the point
bool IsDecimal(const string text)
  {
   int point=StringFind(text,".");
   if(point<0)
      return(IsDigits(text,15));
   return(IsDigits(StringSubstr(text,0,point),15) && IsDigits(StringSubstr(text,point+1),15));
  }

bool ParseUlong(const string text,ulong &value)
  {
   value=0;
   if(!IsDigits(text,19))
      return(false);
   for(int i=0; i<StringLen(text); i++)
      value=value*10+(ulong)(StringGetCharacter(text,i)-'0');
   return(true);
  }

string TicketText(const ulong ticket)
  {
   return(StringFormat("%I64u",ticket));
  }

//--- positional notation, at most `digits` decimals, no needless zeros
string PlainNumber(const double value,const int digits)
  {
   if(!MathIsValidNumber(value))
      return("0");
   string text=DoubleToString(value,digits);
   if(StringFind(text,".")>=0)
     {
      int length=StringLen(text);
      while(length>1 && StringGetCharacter(text,length-1)=='0')
         length--;
      if(StringGetCharacter(text,length-1)=='.')
         length--;
      text=StringSubstr(text,0,length);
     }
   if(text=="-0")
      return("0");
   return(text);
  }

//--- decimals of a step: 0.01 -> 2
int DecimalsOf(const double step)
  {
   for(int digits=0; digits<8; digits++)
     {
      double scaled=step*MathPow(10,digits);
      if(MathAbs(scaled-MathRound(scaled))<1e-9)
         return(digits);
     }
   return(8);
  }

bool IsTag(const string text,const int longest)
  {
   if(StringLen(text)>longest)
      return(false);
   for(int i=0; i<StringLen(text); i++)
     {
      ushort u=StringGetCharacter(text,i);
      bool letter=(u>='A' && u<='Z') || (u>='a' && u<='z') || (u>='0' && u<='9');
      if(!letter && u!='_' && u!='#' && u!='-')
         return(false);
     }
   return(true);
  }

bool IsCommandId(const string text)
  {
   int length=StringLen(text);
   if(length<1 || length>64)
      return(false);
   for(int i=0; i<length; i++)
     {
      ushort u=StringGetCharacter(text,i);
      bool letter=(u>='A' && u<='Z') || (u>='a' && u<='z') || (u>='0' && u<='9');
      if(!letter && u!='_' && u!='.' && u!=':' && u!='-')
         return(false);
     }
   return(true);
  }
#endif
//+------------------------------------------------------------------+
