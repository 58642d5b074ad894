//+------------------------------------------------------------------+
//| Ledger.mqh - INTENT before the broker is asked, RESULT after.    |
//| One JSON line each, flushed, never rewritten. What it does not   |
//| hold was never sent; what has an intent and no result may have   |
//| been, and is never sent again (EA_PROTOCOL.md, section 4).       |
//+------------------------------------------------------------------+
#ifndef MEDULLA_LEDGER_MQH
#define MEDULLA_LEDGER_MQH
#include <Medulla\Latch.mqh>

#define LEDGER_BUCKETS 65536

//--- What a look-up at the broker needs to know of a trade that has no result.
struct SIntent
  {
   string            cid;
   string            hash;
   long              sent_ms;         // UTC
   string            cmd;
   string            symbol;          // the broker's name
   int               side;            // ENUM_ORDER_TYPE, -1: none
   double            volume;
   double            price;
   double            sl;
   double            tp;
   ulong             magic;
   ulong             ticket;          // what the command is about
   ulong             order;           // the broker's number for it, if it gave one
   string            tag;
  };

struct SLedgerEntry
  {
   string            cid;
   string            hash;
   string            tag;
   long              sent_ms;
   bool              has_result;
   ulong             order;
   long              intent_at;       // bytes in the file
   int               intent_size;
   long              result_at;
   int               result_size;
   int               next;            // in the same bucket
  };

class CLedger
  {
private:
   int               m_handle;
   string            m_file;
   bool              m_broken;
   SLedgerEntry      m_entries[];
   int               m_count;
   int               m_buckets[];
   ulong             m_magics[];
   bool              m_was_there;
   int               Bucket(const string cid) const;
   int               Add(const string cid);
   void              LoadLine(const uchar &line[],const long at);
   void              Load();
   void              LearnMagic(const ulong magic);
   bool              Append(const string line,long &at,int &size);
public:
                     CLedger() { m_handle=INVALID_HANDLE; m_broken=false; m_count=0; m_was_there=false; }
   bool              Open(const string file);
   void              Close();
   bool              WasThere() const { return(m_was_there); }
   bool              IsBroken() const { return(m_broken || m_handle==INVALID_HANDLE); }
   bool              Reopen();
   int               Find(const string cid) const;
   int               Count() const { return(m_count); }
   bool              IsSame(const int entry,const string hash) const { return(m_entries[entry].hash==hash); }
   bool              HasResult(const int entry) const { return(m_entries[entry].has_result); }
   long              SentMs(const int entry) const { return(m_entries[entry].sent_ms); }
   bool              Intend(const SIntent &intent);
   void              Note(const string cid,const ulong order);
   bool              Conclude(const string cid,const ulong order,const string code,const string execution);
   bool              ReadIntent(const int entry,SIntent &intent);
   bool              ReadResult(const int entry,string &code,string &execution);
   string            CidOfOrder(const ulong order) const;
   string            CidOfTag(const string comment) const;
   bool              Knows(const ulong magic) const;
  };

CLedger g_ledger;

//--- FNV-1a
int CLedger::Bucket(const string cid) const
  {
   uint hash=2166136261;
   for(int i=0; i<StringLen(cid); i++)
      hash=(hash^(uint)StringGetCharacter(cid,i))*16777619;
   return((int)(hash%LEDGER_BUCKETS));
  }

bool CLedger::Open(const string file)
  {
   Close();
   m_file=file;
   m_count=0;
   ArrayResize(m_entries,0);
   ArrayResize(m_magics,0);
   ArrayResize(m_buckets,LEDGER_BUCKETS);
   ArrayInitialize(m_buckets,-1);
   m_was_there=FileIsExist(file);
   m_handle=FileOpen(file,FILE_READ|FILE_WRITE|FILE_BIN|FILE_SHARE_READ);
   m_broken=(m_handle==INVALID_HANDLE);
   if(!m_broken)
      Load();
   return(!m_broken);
  }

void CLedger::Close()
  {
   if(m_handle!=INVALID_HANDLE)
      FileClose(m_handle);
   m_handle=INVALID_HANDLE;
  }

//--- after a failed write the truth is what the file holds
bool CLedger::Reopen()
  {
   string file=m_file;
   return(Open(file));
  }

void CLedger::Load()
  {
   uchar bytes[];
   FileSeek(m_handle,0,SEEK_SET);
   int size=(int)FileSize(m_handle);
   if(size>0 && (int)FileReadArray(m_handle,bytes,0,size)!=size)
     {
      m_broken=true;
      return;
     }
   int begin=0;
   for(int i=0; i<size; i++)
     {
      if(bytes[i]!='\n')
         continue;
      uchar line[];
      ArrayCopy(line,bytes,0,begin,i-begin);
      LoadLine(line,begin);
      begin=i+1;
     }
   if(begin<size)   // a line torn by a crash: end it, so that the next one stands alone
     {
      long at=0;
      int length=0;
      Append("",at,length);
     }
  }

void CLedger::LoadLine(const uchar &line[],const long at)
  {
   CJson json;
   if(ArraySize(line)==0 || !json.Parse(line))
      return;
   string cid=json.Text(json.Find(0,"cid"));
   string kind=json.Text(json.Find(0,"t"));
   int entry=Find(cid);
   ulong number=0;
   if(kind=="intent")
     {
      if(entry<0)
         entry=Add(cid);
      m_entries[entry].hash=json.Text(json.Find(0,"hash"));
      m_entries[entry].tag=json.Text(json.Find(0,"tag"));
      json.Whole(json.Find(0,"ms"),m_entries[entry].sent_ms);
      m_entries[entry].has_result=false;
      m_entries[entry].intent_at=at;
      m_entries[entry].intent_size=ArraySize(line);
      if(ParseUlong(json.Text(json.Find(0,"magic")),number))
         LearnMagic(number);
     }
   if(kind=="note" && entry>=0 && ParseUlong(json.Text(json.Find(0,"order")),number))
      m_entries[entry].order=number;
   if(kind=="result" && entry>=0)
     {
      m_entries[entry].has_result=true;
      m_entries[entry].result_at=at;
      m_entries[entry].result_size=ArraySize(line);
      if(ParseUlong(json.Text(json.Find(0,"order")),number))
         m_entries[entry].order=number;
     }
  }

int CLedger::Add(const string cid)
  {
   if(m_count>=ArraySize(m_entries))
      ArrayResize(m_entries,m_count+1,1024);
   int bucket=Bucket(cid);
   m_entries[m_count].cid=cid;
   m_entries[m_count].hash="";
   m_entries[m_count].tag="";
   m_entries[m_count].sent_ms=0;
   m_entries[m_count].has_result=false;
   m_entries[m_count].order=0;
   m_entries[m_count].intent_at=0;
   m_entries[m_count].intent_size=0;
   m_entries[m_count].result_at=0;
   m_entries[m_count].result_size=0;
   m_entries[m_count].next=m_buckets[bucket];
   m_buckets[bucket]=m_count;
   m_count++;
   return(m_count-1);
  }

int CLedger::Find(const string cid) const
  {
   if(ArraySize(m_buckets)==0)
      return(-1);
   for(int entry=m_buckets[Bucket(cid)]; entry>=0; entry=m_entries[entry].next)
      if(m_entries[entry].cid==cid)
         return(entry);
   return(-1);
  }

void CLedger::LearnMagic(const ulong magic)
  {
   if(magic==0 || Knows(magic))
      return;
   int count=ArraySize(m_magics);
   ArrayResize(m_magics,count+1,64);
   m_magics[count]=magic;
  }

bool CLedger::Knows(const ulong magic) const
  {
   for(int i=0; i<ArraySize(m_magics); i++)
      if(m_magics[i]==magic)
         return(true);
   return(false);
  }

//--- the file must have grown by exactly this line, or the line does not count
bool CLedger::Append(const string line,long &at,int &size)
  {
   uchar bytes[];
   BytesOf(line+"\n",bytes);
   if(IsBroken())
      return(false);
   FileSeek(m_handle,0,SEEK_END);
   at=(long)FileSize(m_handle);
   size=ArraySize(bytes)-1;
   bool good=((int)FileWriteArray(m_handle,bytes,0,ArraySize(bytes))==ArraySize(bytes));
   FileFlush(m_handle);
   good=good && (long)FileSize(m_handle)==at+ArraySize(bytes);
   if(!good)
     {
      m_broken=true;
      Print("Medulla: the ledger could not be written. No trade is sent until it can. Check disk space and rights of MQL5\\Files\\Medulla.");
     }
   return(good);
  }

bool CLedger::Intend(const SIntent &intent)
  {
   string members="";
   JsonPutText(members,"t","intent");
   JsonPutText(members,"cid",intent.cid);
   JsonPutText(members,"hash",intent.hash);
   JsonPutWhole(members,"ms",intent.sent_ms);
   JsonPutText(members,"cmd",intent.cmd);
   JsonPutText(members,"symbol",intent.symbol);
   JsonPutWhole(members,"side",intent.side);
   JsonPutText(members,"volume",PlainNumber(intent.volume,8));
   JsonPutText(members,"price",PlainNumber(intent.price,8));
   JsonPutText(members,"sl",PlainNumber(intent.sl,8));
   JsonPutText(members,"tp",PlainNumber(intent.tp,8));
   JsonPutText(members,"magic",TicketText(intent.magic));
   JsonPutText(members,"ticket",TicketText(intent.ticket));
   JsonPutText(members,"tag",intent.tag);
   long at=0;
   int size=0;
   if(!Append(JsonObject(members),at,size))
      return(false);
   int entry=Find(intent.cid);
   if(entry<0)
      entry=Add(intent.cid);
   m_entries[entry].hash=intent.hash;
   m_entries[entry].tag=intent.tag;
   m_entries[entry].sent_ms=intent.sent_ms;
   m_entries[entry].has_result=false;
   m_entries[entry].intent_at=at;
   m_entries[entry].intent_size=size;
   LearnMagic(intent.magic);
   return(true);
  }

//--- the broker's order number of a trade whose outcome is unknown: the surest way to find it again, also after a restart
void CLedger::Note(const string cid,const ulong order)
  {
   int entry=Find(cid);
   if(entry<0 || order==0)
      return;
   m_entries[entry].order=order;
   string members="";
   JsonPutText(members,"t","note");
   JsonPutText(members,"cid",cid);
   JsonPutText(members,"order",TicketText(order));
   long at=0;
   int size=0;
   Append(JsonObject(members),at,size);
  }

bool CLedger::Conclude(const string cid,const ulong order,const string code,const string execution)
  {
   int entry=Find(cid);
   if(entry<0)
      return(false);
   string members="";
   JsonPutText(members,"t","result");
   JsonPutText(members,"cid",cid);
   JsonPutWhole(members,"ms",UtcMs());
   JsonPutText(members,"order",TicketText(order));
   JsonPutText(members,"code",code);
   JsonPut(members,"execution",execution);
   long at=0;
   int size=0;
   m_entries[entry].order=order;
   if(!Append(JsonObject(members),at,size))
      return(false);
   m_entries[entry].has_result=true;
   m_entries[entry].result_at=at;
   m_entries[entry].result_size=size;
   return(true);
  }

bool CLedger::ReadIntent(const int entry,SIntent &intent)
  {
   uchar line[];
   CJson json;
   if(IsBroken() || !FileSeek(m_handle,m_entries[entry].intent_at,SEEK_SET))
      return(false);
   FileReadArray(m_handle,line,0,m_entries[entry].intent_size);
   if(!json.Parse(line))
      return(false);
   long side=-1;
   json.Whole(json.Find(0,"side"),side);
   intent.cid=m_entries[entry].cid;
   intent.hash=m_entries[entry].hash;
   intent.sent_ms=m_entries[entry].sent_ms;
   intent.cmd=json.Text(json.Find(0,"cmd"));
   intent.symbol=json.Text(json.Find(0,"symbol"));
   intent.side=(int)side;
   intent.volume=StringToDouble(json.Text(json.Find(0,"volume")));
   intent.price=StringToDouble(json.Text(json.Find(0,"price")));
   intent.sl=StringToDouble(json.Text(json.Find(0,"sl")));
   intent.tp=StringToDouble(json.Text(json.Find(0,"tp")));
   ParseUlong(json.Text(json.Find(0,"magic")),intent.magic);
   ParseUlong(json.Text(json.Find(0,"ticket")),intent.ticket);
   intent.order=m_entries[entry].order;
   intent.tag=json.Text(json.Find(0,"tag"));
   return(true);
  }

bool CLedger::ReadResult(const int entry,string &code,string &execution)
  {
   uchar line[];
   CJson json;
   if(IsBroken() || !m_entries[entry].has_result || !FileSeek(m_handle,m_entries[entry].result_at,SEEK_SET))
      return(false);
   FileReadArray(m_handle,line,0,m_entries[entry].result_size);
   if(!json.Parse(line))
      return(false);
   code=json.Text(json.Find(0,"code"));
   execution=json.Source(json.Find(0,"execution"));
   return(json.Is(json.Find(0,"execution"),JSON_OBJECT));
  }

//--- the newest first: trade events concern what was just done
string CLedger::CidOfOrder(const ulong order) const
  {
   for(int i=m_count-1; i>=0 && i>=m_count-5000 && order>0; i--)
      if(m_entries[i].order==order)
         return(m_entries[i].cid);
   return("");
  }

string CLedger::CidOfTag(const string comment) const
  {
   for(int i=m_count-1; i>=0 && i>=m_count-5000; i--)
      if(m_entries[i].tag!="" && StringFind(comment,m_entries[i].tag)==0)
         return(m_entries[i].cid);
   return("");
  }
#endif
//+------------------------------------------------------------------+
