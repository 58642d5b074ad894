//+------------------------------------------------------------------+
//| JsonWrite.mqh - JSON written compactly: members of an object and |
//| items of a list are joined as text, then wrapped once.           |
//+------------------------------------------------------------------+
#ifndef MEDULLA_JSON_WRITE_MQH
#define MEDULLA_JSON_WRITE_MQH

string JsonText(const string text)
  {
   string quoted="\"";
   int begin=0;
   for(int i=0; i<StringLen(text); i++)
     {
      ushort unit=StringGetCharacter(text,i);
      if(unit>=0x20 && unit!='"' && unit!='\\')
         continue;
      quoted+=StringSubstr(text,begin,i-begin)+StringFormat("\\u%04x",(int)unit);
      begin=i+1;
     }
   return(quoted+StringSubstr(text,begin)+"\"");
  }

string JsonBool(const bool value)
  {
   return(value ? "true" : "false");
  }

//--- appends a member to the inside of an object
void JsonPut(string &members,const string name,const string value)
  {
   if(members!="")
      members+=",";
   members+="\""+name+"\":"+value;
  }

void JsonPutText(string &members,const string name,const string value)
  {
   JsonPut(members,name,JsonText(value));
  }

void JsonPutWhole(string &members,const string name,const long value)
  {
   JsonPut(members,name,IntegerToString(value));
  }

string JsonObject(const string members)
  {
   return("{"+members+"}");
  }

void JsonItem(string &items,const string value)
  {
   if(items!="")
      items+=",";
   items+=value;
  }

string JsonList(const string items)
  {
   return("["+items+"]");
  }
#endif
//+------------------------------------------------------------------+
