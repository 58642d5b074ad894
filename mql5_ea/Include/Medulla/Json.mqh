//+------------------------------------------------------------------+
//| Json.mqh - JSON read as strictly as a trade deserves (RFC 8259). |
//| Duplicate keys, NaN, trailing text, broken UTF-8, lone           |
//| surrogates and depth over 16 are refused: each of them lets two  |
//| readers of one frame see two trades. Writing: JsonWrite.mqh.     |
//+------------------------------------------------------------------+
#ifndef MEDULLA_JSON_MQH
#define MEDULLA_JSON_MQH
#include <Medulla\Text.mqh>
#include <Medulla\JsonWrite.mqh>

#define JSON_MAX_DEPTH   16
#define JSON_MAX_NODES   8192
#define JSON_MAX_KEYS    64
#define JSON_MAX_NUMBER  40

enum EJsonKind
  {
   JSON_NULL,
   JSON_FALSE,
   JSON_TRUE,
   JSON_NUMBER,
   JSON_TEXT,
   JSON_LIST,
   JSON_OBJECT
  };

struct SJsonNode
  {
   EJsonKind         kind;
   string            key;
   string            text;      // of a text or a number
   int               next;      // sibling, -1: none
   int               first;     // child, -1: none
   int               begin;     // span of bytes in the source
   int               end;
  };

//--- One parsed object. Nodes are numbers; 0 is the root, -1 is "not there".
class CJson
  {
private:
   uchar             m_bytes[];
   int               m_size;
   int               m_at;
   SJsonNode         m_nodes[];
   int               m_count;

   bool              IsUtf8() const;
   bool              IsContinuation(const int at) const { return(at<m_size && (m_bytes[at]&0xC0)==0x80); }
   void              SkipSpace();
   bool              Take(const uchar expected);
   bool              TakeWord(const string word);
   int               Add(const EJsonKind kind);
   bool              ParseValue(const int depth,int &node);
   bool              ParseMembers(const int depth,const int parent,const bool keyed);
   bool              ParseText(string &text);
   bool              ParseEscape(string &text);
   bool              ParseUnit(ushort &unit);
   bool              ParseNumber(string &text);
   int               CountDigits();

public:
                     CJson() { m_size=0; m_at=0; m_count=0; }
   bool              Parse(const uchar &bytes[]);
   int               Find(const int object,const string key) const;
   int               First(const int parent) const { return(parent<0 ? -1 : m_nodes[parent].first); }
   int               Next(const int node) const { return(m_nodes[node].next); }
   string            Key(const int node) const { return(m_nodes[node].key); }
   bool              Is(const int node,const EJsonKind kind) const { return(node>=0 && m_nodes[node].kind==kind); }
   bool              IsAbsent(const int node) const { return(node<0 || m_nodes[node].kind==JSON_NULL); }
   string            Text(const int node) const { return(node<0 ? "" : m_nodes[node].text); }
   bool              Whole(const int node,long &value) const;
   void              Span(const int node,uchar &bytes[]) const;
   string            Source(const int node) const;
  };

bool CJson::Parse(const uchar &bytes[])
  {
   m_size=ArraySize(bytes);
   m_at=0;
   m_count=0;
   ArrayResize(m_bytes,m_size);
   ArrayCopy(m_bytes,bytes,0,0,m_size);
   if(!IsUtf8())
      return(false);
   int root=-1;
   SkipSpace();
   if(m_at>=m_size || m_bytes[m_at]!='{' || !ParseValue(1,root))
      return(false);
   SkipSpace();
   return(m_at==m_size);
  }

//--- RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF
bool CJson::IsUtf8() const
  {
   int i=0;
   while(i<m_size)
     {
      int b=(int)m_bytes[i];
      if(b<0x80)
        {
         i++;
         continue;
        }
      int second=(i+1<m_size ? (int)m_bytes[i+1] : 0);
      int more=0;
      if(b>=0xC2 && b<=0xDF)
         more=1;
      else
         if(b>=0xE0 && b<=0xEF && !(b==0xE0 && second<0xA0) && !(b==0xED && second>0x9F))
            more=2;
         else
            if(b>=0xF0 && b<=0xF4 && !(b==0xF0 && second<0x90) && !(b==0xF4 && second>0x8F))
               more=3;
      if(more==0)
         return(false);
      for(int k=1; k<=more; k++)
         if(!IsContinuation(i+k))
            return(false);
      i+=more+1;
     }
   return(true);
  }

void CJson::SkipSpace()
  {
   while(m_at<m_size && (m_bytes[m_at]==' ' || m_bytes[m_at]=='\n' || m_bytes[m_at]=='\t' || m_bytes[m_at]=='\r'))
      m_at++;
  }

bool CJson::Take(const uchar expected)
  {
   if(m_at>=m_size || m_bytes[m_at]!=expected)
      return(false);
   m_at++;
   return(true);
  }

bool CJson::TakeWord(const string word)
  {
   for(int i=0; i<StringLen(word); i++)
      if(!Take((uchar)StringGetCharacter(word,i)))
         return(false);
   return(true);
  }

int CJson::Add(const EJsonKind kind)
  {
   if(m_count>=ArraySize(m_nodes))
      ArrayResize(m_nodes,m_count+64,256);
   m_nodes[m_count].kind=kind;
   m_nodes[m_count].key="";
   m_nodes[m_count].text="";
   m_nodes[m_count].next=-1;
   m_nodes[m_count].first=-1;
   m_nodes[m_count].begin=m_at;
   m_nodes[m_count].end=m_at;
   m_count++;
   return(m_count-1);
  }

bool CJson::ParseValue(const int depth,int &node)
  {
   SkipSpace();
   if(m_at>=m_size || m_count>=JSON_MAX_NODES || depth>JSON_MAX_DEPTH+1)
      return(false);
   uchar c=m_bytes[m_at];
   bool good=false;
   if(c=='{' || c=='[')
     {
      if(depth>JSON_MAX_DEPTH)
         return(false);
      node=Add(c=='{' ? JSON_OBJECT : JSON_LIST);
      m_at++;
      good=ParseMembers(depth,node,c=='{');
     }
   else
      if(c=='"')
        {
         node=Add(JSON_TEXT);
         string text="";
         good=ParseText(text);
         m_nodes[node].text=text;
        }
      else
         if(c=='t')
           {
            node=Add(JSON_TRUE);
            good=TakeWord("true");
           }
         else
            if(c=='f')
              {
               node=Add(JSON_FALSE);
               good=TakeWord("false");
              }
            else
               if(c=='n')
                 {
                  node=Add(JSON_NULL);
                  good=TakeWord("null");
                 }
               else
                 {
                  node=Add(JSON_NUMBER);
                  string number="";
                  good=ParseNumber(number);
                  m_nodes[node].text=number;
                 }
   m_nodes[node].end=m_at;
   return(good);
  }

bool CJson::ParseMembers(const int depth,const int parent,const bool keyed)
  {
   uchar closing=(keyed ? (uchar)'}' : (uchar)']');
   int last=-1;
   int count=0;
   SkipSpace();
   if(Take(closing))
      return(true);
   while(true)
     {
      string key="";
      if(keyed)
        {
         SkipSpace();
         if(!ParseText(key) || Find(parent,key)>=0)
            return(false);
         SkipSpace();
         if(!Take(':') || ++count>JSON_MAX_KEYS)
            return(false);
        }
      int child=-1;
      if(!ParseValue(depth+1,child))
         return(false);
      m_nodes[child].key=key;
      if(last<0)
         m_nodes[parent].first=child;
      else
         m_nodes[last].next=child;
      last=child;
      SkipSpace();
      if(Take(closing))
         return(true);
      if(!Take(','))
         return(false);
     }
   return(false);
  }

bool CJson::ParseText(string &text)
  {
   text="";
   if(!Take('"'))
      return(false);
   int begin=m_at;
   while(m_at<m_size)
     {
      uchar c=m_bytes[m_at];
      if(c<0x20)
         return(false);
      if(c=='"')
        {
         text+=TextOf(m_bytes,begin,m_at-begin);
         m_at++;
         return(true);
        }
      m_at++;
      if(c=='\\')
        {
         text+=TextOf(m_bytes,begin,m_at-1-begin);
         if(!ParseEscape(text))
            return(false);
         begin=m_at;
        }
     }
   return(false);
  }

bool CJson::ParseEscape(string &text)
  {
   if(m_at>=m_size)
      return(false);
   uchar c=m_bytes[m_at];
   m_at++;
   ushort unit=0;
   switch(c)
     {
      case '"':
      case '\\':
      case '/':
         unit=c;
         break;
      case 'b':
         unit=8;
         break;
      case 'f':
         unit=12;
         break;
      case 'n':
         unit=10;
         break;
      case 'r':
         unit=13;
         break;
      case 't':
         unit=9;
         break;
      case 'u':
        {
         if(!ParseUnit(unit) || unit==0 || (unit>=0xDC00 && unit<=0xDFFF))
            return(false);
         if(unit>=0xD800 && unit<=0xDBFF)
           {
            ushort low=0;
            if(!Take('\\') || !Take('u') || !ParseUnit(low) || low<0xDC00 || low>0xDFFF)
               return(false);
            text+=ShortToString(unit);
            unit=low;
           }
         break;
        }
      default:
         return(false);
     }
   text+=ShortToString(unit);
   return(true);
  }

bool CJson::ParseUnit(ushort &unit)
  {
   int value=0;
   for(int i=0; i<4; i++)
     {
      if(m_at>=m_size)
         return(false);
      uchar c=m_bytes[m_at];
      if(c>='A' && c<='F')
         c=(uchar)(c-'A'+'a');
      int digit=HexDigit(c);
      if(digit<0)
         return(false);
      value=value*16+digit;
      m_at++;
     }
   unit=(ushort)value;
   return(true);
  }

int CJson::CountDigits()
  {
   int count=0;
   while(m_at<m_size && m_bytes[m_at]>='0' && m_bytes[m_at]<='9')
     {
      m_at++;
      count++;
     }
   return(count);
  }

bool CJson::ParseNumber(string &text)
  {
   int begin=m_at;
   Take('-');
   if(!Take('0') && CountDigits()==0)
      return(false);
   if(Take('.') && CountDigits()==0)
      return(false);
   if(Take('e') || Take('E'))
     {
      if(!Take('+'))
         Take('-');
      if(CountDigits()==0)
         return(false);
     }
   if(m_at-begin>JSON_MAX_NUMBER)
      return(false);
   text=TextOf(m_bytes,begin,m_at-begin);
   return(MathIsValidNumber(StringToDouble(text)));
  }

int CJson::Find(const int object,const string key) const
  {
   if(object<0)
      return(-1);
   for(int node=m_nodes[object].first; node>=0; node=m_nodes[node].next)
      if(m_nodes[node].key==key)
         return(node);
   return(-1);
  }

//--- a whole number that fits a long; 1.0 and 1e3 are not whole numbers of this wire
bool CJson::Whole(const int node,long &value) const
  {
   value=0;
   if(!Is(node,JSON_NUMBER))
      return(false);
   string text=m_nodes[node].text;
   bool negative=(StringGetCharacter(text,0)=='-');
   ulong size=0;
   if(!ParseUlong(negative ? StringSubstr(text,1) : text,size) || size>9223372036854775807)
      return(false);
   value=(negative ? -(long)size : (long)size);
   return(true);
  }

//--- the bytes exactly as they were received
void CJson::Span(const int node,uchar &bytes[]) const
  {
   ArrayResize(bytes,0);
   if(node>=0)
      ArrayCopy(bytes,m_bytes,0,m_nodes[node].begin,m_nodes[node].end-m_nodes[node].begin);
  }

string CJson::Source(const int node) const
  {
   return(node<0 ? "null" : TextOf(m_bytes,m_nodes[node].begin,m_nodes[node].end-m_nodes[node].begin));
  }
#endif
//+------------------------------------------------------------------+
