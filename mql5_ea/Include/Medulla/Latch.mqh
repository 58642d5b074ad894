//+------------------------------------------------------------------+
//| Latch.mqh - the durable safety state: stop latch and epoch.      |
//| It is written before anybody is told. A store that is damaged,   |
//| or gone although there was one, means STOPPED.                   |
//+------------------------------------------------------------------+
#ifndef MEDULLA_LATCH_MQH
#define MEDULLA_LATCH_MQH
#include <Medulla\Seal.mqh>
#include <Medulla\Json.mqh>
#include <Medulla\Platform.mqh>

//--- the whole file, at most `largest` bytes
bool ReadFile(const string name,const int largest,uchar &bytes[],const int common=0)
  {
   ArrayResize(bytes,0);
   int handle=FileOpen(name,FILE_READ|FILE_BIN|FILE_SHARE_READ|FILE_SHARE_WRITE|common);
   if(handle==INVALID_HANDLE)
      return(false);
   ulong size=FileSize(handle);
   bool good=(size<=(ulong)largest);
   if(good && size>0)
      good=((ulong)FileReadArray(handle,bytes,0,(int)size)==size);
   FileClose(handle);
   return(good);
  }

//--- beside it first, then in its place: a crash leaves the old file or the new one
bool WriteFile(const string name,const uchar &bytes[],const int common=0)
  {
   string beside=name+".new";
   int handle=FileOpen(beside,FILE_WRITE|FILE_BIN|common);
   if(handle==INVALID_HANDLE)
      return(false);
   bool good=((int)FileWriteArray(handle,bytes,0,ArraySize(bytes))==ArraySize(bytes));
   FileFlush(handle);
   FileClose(handle);
   return(good && FileMove(beside,common,name,FILE_REWRITE|common));
  }

class CLatch
  {
private:
   string            m_file;
   long              m_epoch;
   bool              m_stopped;
   long              m_latched_epoch;
   long              m_latched_at;
   string            m_reason;
   string            m_by;
   bool              m_durable;       // what is in memory is on disk too
   bool              Save();
   bool              Read(const string file);
public:
                     CLatch() { m_file=""; m_epoch=0; m_stopped=false; m_latched_epoch=0; m_latched_at=0; m_durable=true; }
   void              Open(const string file,const bool must_exist);
   bool              IsStopped() const { return(m_stopped); }
   bool              IsDurable() const { return(m_durable); }
   long              Epoch() const { return(m_epoch); }
   long              LatchedAt() const { return(m_latched_at); }
   long              LatchedEpoch() const { return(m_latched_epoch); }
   string            Reason() const { return(m_reason); }
   string            By() const { return(m_by); }
   bool              RaiseEpoch(const long epoch);
   bool              Stop(const string reason,const string by,const long epoch);
   bool              Release(const long epoch);
   bool              Retry() { return(m_durable || Save()); }
  };

CLatch g_latch;

bool CLatch::Save()
  {
   string members="";
   JsonPutWhole(members,"epoch",m_epoch);
   JsonPut(members,"stopped",JsonBool(m_stopped));
   JsonPutWhole(members,"latched_epoch",m_latched_epoch);
   JsonPutWhole(members,"latched_at",m_latched_at);
   JsonPutText(members,"reason",m_reason);
   JsonPutText(members,"by",m_by);
   uchar bytes[];
   BytesOf(JsonObject(members),bytes);
   string check=Sha256Hex(bytes);
   BytesOf(JsonObject(members)+"\n"+check+"\n",bytes);
   m_durable=WriteFile(m_file,bytes);
   if(!m_durable)
      Print("Medulla: the safety state could not be written. The EA refuses new trades until it can. Check disk space and rights of MQL5\\Files.");
   return(m_durable);
  }

bool CLatch::Read(const string file)
  {
   uchar bytes[];
   if(!ReadFile(file,65536,bytes))
      return(false);
   int line=0;
   while(line<ArraySize(bytes) && bytes[line]!='\n')
      line++;
   uchar body[];
   ArrayCopy(body,bytes,0,0,line);
   CJson json;
   long latched_epoch=0;
   long latched_at=0;
   long epoch=0;
   if(line==0 || TextOf(bytes,line+1,64)!=Sha256Hex(body) || !json.Parse(body))
      return(false);
   if(!json.Whole(json.Find(0,"epoch"),epoch) || !json.Whole(json.Find(0,"latched_epoch"),latched_epoch) ||
      !json.Whole(json.Find(0,"latched_at"),latched_at))
      return(false);
   m_epoch=epoch;
   m_latched_epoch=latched_epoch;
   m_latched_at=latched_at;
   m_stopped=json.Is(json.Find(0,"stopped"),JSON_TRUE);
   m_reason=json.Text(json.Find(0,"reason"));
   m_by=json.Text(json.Find(0,"by"));
   return(true);
  }

void CLatch::Open(const string file,const bool must_exist)
  {
   m_file=file;
   m_epoch=0;
   m_stopped=false;
   m_latched_epoch=0;
   m_latched_at=0;
   m_reason="";
   m_by="";
   m_durable=true;
   bool exists=FileIsExist(file);
   if(exists && Read(file))
      return;
   if(!exists && FileIsExist(file+".new") && Read(file+".new"))
     {
      Save();
      return;
     }
   if(exists || must_exist)
      Stop("the file that holds the stop latch is damaged or gone","limit",0);
   else
      Save();
  }

bool CLatch::RaiseEpoch(const long epoch)
  {
   if(epoch<=m_epoch)
      return(true);
   m_epoch=epoch;
   return(Save());
  }

//--- in memory first: a full disk must not keep the EA trading. A second stop changes nothing.
bool CLatch::Stop(const string reason,const string by,const long epoch)
  {
   if(m_stopped)
      return(m_durable || Save());
   m_stopped=true;
   m_reason=StringSubstr(reason,0,200);
   m_by=by;
   m_latched_epoch=MathMax(m_epoch,epoch);
   m_latched_at=UtcMs();
   return(Save());
  }

bool CLatch::Release(const long epoch)
  {
   if(!m_stopped)
      return(true);
   m_stopped=false;
   m_epoch=MathMax(m_epoch,epoch);
   if(Save())
      return(true);
   m_stopped=true;
   return(false);
  }
#endif
//+------------------------------------------------------------------+
