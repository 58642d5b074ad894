//+------------------------------------------------------------------+
//| Wire.mqh - sealed bodies out, checked bodies in. Each front      |
//| includes its transport (class CTransport) before this file.      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_WIRE_MQH
#define MEDULLA_WIRE_MQH
#include <Medulla\Seal.mqh>
#include <Medulla\Json.mqh>
#include <Medulla\Platform.mqh>

#define MAX_BODY 262144

//--- A request that proved to come from a holder of the key. `args` is a node of g_request.
struct SRequest
  {
   string            sid;
   long              id;
   string            cid;
   bool              has_cid;
   long              epoch;
   long              ts;
   long              ttl;
   string            cmd;
   int               args;
   string            hash;            // of cmd and args as received
  };

CTransport g_transport;
CSeal      g_seal;
CEntropy   g_entropy;
CJson      g_request;

//--- numbers its events for each kind, seals and sends
class CWire
  {
private:
   string            m_boot;
   long              m_dropped;
   string            m_kinds[];
   long              m_seqs[];
   int               Kind(const string ev);
   bool              IsWhole(const string name,long &value) const { return(g_request.Whole(g_request.Find(0,name),value)); }
public:
                     CWire() { m_boot=""; m_dropped=0; }
   void              NewBoot();
   string            Boot() const { return(m_boot); }
   long              Dropped() const { return(m_dropped); }
   void              Drop() { m_dropped++; }
   bool              Open(const uchar &body[],const uchar &mac[],SRequest &request);
   void              Reply(const uchar &peer[],const SRequest &request,const bool good,const string code,const string message,const string data);
   void              Publish(const string ev,const string topic,const string data);
   long              Seq(const string ev) { return(m_seqs[Kind(ev)]); }
  };

CWire g_wire;

void CWire::NewBoot()
  {
   m_boot=g_entropy.Hex32();
   ArrayResize(m_kinds,0);
   ArrayResize(m_seqs,0);
  }

int CWire::Kind(const string ev)
  {
   int count=ArraySize(m_kinds);
   for(int i=0; i<count; i++)
      if(m_kinds[i]==ev)
         return(i);
   ArrayResize(m_kinds,count+1);
   ArrayResize(m_seqs,count+1);
   m_kinds[count]=ev;
   m_seqs[count]=0;
   return(count);
  }

//--- false: not a request of the executor; it is dropped without an answer and counted
bool CWire::Open(const uchar &body[],const uchar &mac[],SRequest &request)
  {
   long version=0;
   if(ArraySize(body)>MAX_BODY || !g_seal.Proves(body,mac) || !g_request.Parse(body))
      return(false);
   if(!IsWhole("v",version) || version!=1 || g_request.Text(g_request.Find(0,"from"))!="executor")
      return(false);
   int cid=g_request.Find(0,"cid");
   request.args=g_request.Find(0,"args");
   request.sid=g_request.Text(g_request.Find(0,"sid"));
   request.cmd=g_request.Text(g_request.Find(0,"cmd"));
   request.cid=g_request.Text(cid);
   request.has_cid=g_request.Is(cid,JSON_TEXT);
   if(!g_request.Is(g_request.Find(0,"sid"),JSON_TEXT) || !g_request.Is(g_request.Find(0,"cmd"),JSON_TEXT))
      return(false);
   if((!request.has_cid && !g_request.IsAbsent(cid)) || (request.args>=0 && !g_request.Is(request.args,JSON_OBJECT)))
      return(false);
   if(!IsWhole("id",request.id) || !IsWhole("epoch",request.epoch) || !IsWhole("ts",request.ts) || !IsWhole("ttl",request.ttl))
      return(false);
   uchar content[];
   uchar span[];
   BytesOf(request.cmd+"\n",content);
   g_request.Span(request.args,span);
   AppendBytes(content,span);
   request.hash=Sha256Hex(content);
   return(true);
  }

void CWire::Reply(const uchar &peer[],const SRequest &request,const bool good,const string code,const string message,const string data)
  {
   string members="\"v\":1,\"from\":\"terminal\"";
   JsonPutText(members,"sid",request.sid);
   JsonPutWhole(members,"re",request.id);
   JsonPut(members,"cid",request.has_cid ? JsonText(request.cid) : "null");
   JsonPut(members,"ok",JsonBool(good));
   JsonPut(members,"code",code=="" ? "null" : JsonText(code));
   JsonPut(members,"message",message=="" ? "null" : JsonText(message));
   JsonPut(members,"data",JsonObject(data));
   uchar body[];
   uchar mac[];
   BytesOf(JsonObject(members),body);
   g_seal.Mac(body,mac);
   g_transport.Reply(peer,body,mac);
  }

void CWire::Publish(const string ev,const string topic,const string data)
  {
   int kind=Kind(ev);
   m_seqs[kind]++;
   string members="\"v\":1,\"from\":\"terminal\"";
   JsonPutText(members,"boot",m_boot);
   JsonPutWhole(members,"seq",m_seqs[kind]);
   JsonPutWhole(members,"ts",UtcMs());
   JsonPutText(members,"ev",ev);
   JsonPut(members,"data",data);
   uchar body[];
   uchar mac[];
   BytesOf(JsonObject(members),body);
   g_seal.Mac(body,mac);
   g_transport.Publish(topic,body,mac);
  }
#endif
//+------------------------------------------------------------------+
