//+------------------------------------------------------------------+
//| Commands.mqh - from a received body to its one reply: sessions   |
//| first, then what may change something, then questions.           |
//+------------------------------------------------------------------+
#ifndef MEDULLA_COMMANDS_MQH
#define MEDULLA_COMMANDS_MQH
#include <Medulla\Questions.mqh>

class CCommands
  {
private:
   string            m_last;          // for the panel
   void              Hello(const uchar &peer[],const SRequest &request);
   void              Refused(const uchar &peer[],const SRequest &request,const string code,const string message,const string data);
   bool              Admit(const uchar &peer[],const SRequest &request,int &session);
   void              Trade(const uchar &peer[],const SRequest &request,const int session);
   bool              AnswerKnown(const uchar &peer[],const SRequest &request);
   void              CloseAll(const uchar &peer[],const SRequest &request,const SMandate &mandate,SExecution &execution);
   void              RefusedTrade(const uchar &peer[],const SRequest &request,const SExecution &execution);
   void              Stop(const uchar &peer[],const SRequest &request);
   void              Resume(const uchar &peer[],const SRequest &request);
public:
                     CCommands() { m_last=""; }
   string            Last() const { return(m_last); }
   void              Handle(const uchar &peer[],const uchar &body[],const uchar &mac[]);
   void              Latch(const string reason,const string by,const long epoch);
  };

CCommands g_commands;

bool IsTrade(const string cmd)
  {
   return(cmd=="open" || cmd=="place" || cmd=="modify" || cmd=="close" || cmd=="cancel" || cmd=="close_all");
  }

void CCommands::Handle(const uchar &peer[],const uchar &body[],const uchar &mac[])
  {
   SRequest request={};
   int      session=-1;
   if(!g_wire.Open(body,mac,request))
     {
      g_wire.Drop();
      return;
     }
   if(request.cmd=="hello")
     {
      Hello(peer,request);
      return;
     }
   if(!Admit(peer,request,session))
      return;
   SAnswer answer={};
   if(request.cmd!="heartbeat")
      m_last=request.cmd+(request.has_cid ? " "+request.cid : "");
   if(request.cmd=="heartbeat")
     {
      string members=g_questions.HeartbeatMembers();
      JsonPutWhole(members,"clock",g_sessions.Clock(session));
      g_wire.Reply(peer,request,true,"","",members);
     }
   else
      if(request.cmd=="stop")
         Stop(peer,request);
      else
         if(request.cmd=="resume")
            Resume(peer,request);
         else
            if(request.cmd=="bye")
              {
               g_wire.Reply(peer,request,true,"","","");
               g_sessions.Remove(session);
              }
            else
               if(IsTrade(request.cmd))
                  Trade(peer,request,session);
               else
                  if(g_questions.Answer(request,answer))
                     g_wire.Reply(peer,request,answer.good,answer.code,answer.message,answer.good ? answer.data : "");
                  else
                     Refused(peer,request,"UNKNOWN_CMD","no such command",  "");
  }

void CCommands::Refused(const uchar &peer[],const SRequest &request,const string code,const string message,const string data)
  {
   g_wire.Reply(peer,request,false,code,message,data);
  }

//--- opens a pending session and changes nothing else: a recorded hello that is played again gains nothing
void CCommands::Hello(const uchar &peer[],const SRequest &request)
  {
   string role=g_request.Text(g_request.Find(request.args,"role"));
   string nonce=g_request.Text(g_request.Find(request.args,"nonce"));
   string instance=g_request.Text(g_request.Find(request.args,"instance"));
   if(request.sid!="" || request.id!=0)
     {
      g_wire.Drop();
      return;
     }
   if((role!="command" && role!="stop") || !IsHex(nonce,32) || !IsHex(instance,32))
     {
      Refused(peer,request,"INVALID_ARGS","role must be command or stop, nonce and instance 32 hex digits","");
      return;
     }
   if(role=="command" && g_sessions.IsTakenFrom(instance))
     {
      Refused(peer,request,"SESSION_TAKEN","another executor is connected to this terminal","");
      return;
     }
   SRequest reply=request;
   reply.sid=g_entropy.Hex32();
   g_sessions.OpenPending(reply.sid,instance,role=="command",request.ts);
   g_transport.Greeted(peer);
   string members="";
   string mode=(InpMode==MODE_FULL ? "full" : (InpMode==MODE_DEMO_ONLY ? "demo_only" : "read_only"));
   JsonPutText(members,"nonce",nonce);
   JsonPutText(members,"boot",g_wire.Boot());
   JsonPutText(members,"terminal",g_transport.Name()+" "+MEDULLA_VERSION);
   JsonPutText(members,"login",IntegerToString(CurrentLogin()));
   JsonPutWhole(members,"epoch",g_latch.Epoch());
   JsonPut(members,"stopped",JsonBool(g_latch.IsStopped()));
   JsonPut(members,"stop_reason",g_latch.IsStopped() ? JsonText(g_latch.Reason()) : "null");
   JsonPutText(members,"mode",mode);
   JsonPut(members,"protocol","1");
   g_wire.Reply(peer,reply,true,"","",members);
  }

//--- may this session say this? false: it was answered or dropped
bool CCommands::Admit(const uchar &peer[],const SRequest &request,int &session)
  {
   session=g_sessions.Find(request.sid);
   if(session<0 || !g_sessions.Accept(session,request.id))
     {
      g_wire.Drop();
      return(false);
     }
   bool command=g_sessions.IsCommand(session);
   bool any_epoch=(request.cmd=="stop" || request.cmd=="bye");
   if(!command && request.cmd!="heartbeat" && request.cmd!="stop")
     {
      Refused(peer,request,"ROLE_NOT_ALLOWED","the role stop may not send "+StringSubstr(request.cmd,0,40),"");
      return(false);
     }
   if(request.epoch<g_latch.Epoch() && !any_epoch)
     {
      string data="";
      JsonPutWhole(data,"epoch",g_latch.Epoch());
      Refused(peer,request,"EPOCH_TOO_LOW",StringFormat("the terminal is at epoch %I64d",g_latch.Epoch()),data);
      return(false);
     }
   if(!g_sessions.IsActive(session))
     {
      if(command && g_sessions.IsTakenFrom(g_sessions.Instance(session)))
        {
         Refused(peer,request,"SESSION_TAKEN","another executor is connected to this terminal","");
         return(false);
        }
      g_sessions.Hear(session);
      g_sessions.Activate(session);
      session=g_sessions.Find(request.sid);
     }
   else
      g_sessions.Hear(session);
   // durable before anything else; where the disk refuses, the gate refuses new trades
   if(command)
      g_latch.RaiseEpoch(request.epoch);
   return(true);
  }

void CCommands::RefusedTrade(const uchar &peer[],const SRequest &request,const SExecution &execution)
  {
   string data=ExecutionMembers(execution,false);
   if(execution.code=="NO_PERMISSION" || execution.code=="NOT_CONNECTED")
      JsonPut(data,"missing",JsonList(IsConnected() ? MissingPermissions() : "\"broker connection\""));
   if(execution.code=="EPOCH_TOO_LOW")
      JsonPutWhole(data,"epoch",g_latch.Epoch());
   Refused(peer,request,execution.code,execution.message,data);
  }

//--- a command id that is known gets what is known, whatever has changed since
bool CCommands::AnswerKnown(const uchar &peer[],const SRequest &request)
  {
   SExecution execution={};
   ClearExecution(execution);
   int entry=g_ledger.Find(request.cid);
   if(entry<0)
      return(false);
   if(!g_ledger.IsSame(entry,request.hash))
     {
      Refuse(execution,"ID_CONFLICT","this command id is known with other content; nothing was done");
      RefusedTrade(peer,request,execution);
      return(true);
     }
   string code="";
   string stored="";
   if(!g_jobs.Holds(request.cid) && g_recovery.LookUp(entry) && g_ledger.ReadResult(entry,code,stored))
     {
      int at=StringFind(stored,"\"replayed\":false")+11;   // the whole's own; parts of a close_all keep theirs
      stored=StringSubstr(stored,0,at)+"true"+StringSubstr(stored,at+5);
      g_wire.Reply(peer,request,code=="",code,"",StringSubstr(stored,1,StringLen(stored)-2));
      return(true);
     }
   execution.state="unknown";
   execution.message="no result is known yet";
   g_wire.Reply(peer,request,true,"","",ExecutionMembers(execution,true));
   return(true);
  }

void CCommands::Trade(const uchar &peer[],const SRequest &request,const int session)
  {
   SExecution execution={};
   STrade     trade={};
   SMandate   mandate={};
   ClearExecution(execution);
   if(!request.has_cid || !IsCommandId(request.cid))
     {
      Refuse(execution,"INVALID_ARGS","cid: must be 1 to 64 characters of A-Z a-z 0-9 _ . : -");
      RefusedTrade(peer,request,execution);
      return;
     }
   if(AnswerKnown(peer,request))
      return;
   mandate.by_stop=false;
   mandate.operator_asked=g_request.Is(g_request.Find(request.args,"operator"),JSON_TRUE);
   mandate.sid=request.sid;
   mandate.epoch=request.epoch;
   mandate.deadline=g_sessions.Deadline(session,request.ts,request.ttl);
   if(!g_gate.Allows(mandate,request.cmd,execution) || !g_orders.Read(request.cmd,request.args,trade,execution))
     {
      RefusedTrade(peer,request,execution);
      return;
     }
   if(request.cmd=="close_all")
     {
      CloseAll(peer,request,mandate,execution);
      return;
     }
   bool asked=g_trader.CarryOut(mandate,request.cid,request.hash,trade,execution);
   if(!asked || execution.state=="refused")
     {
      RefusedTrade(peer,request,execution);
      return;
     }
   g_wire.Reply(peer,request,true,"","",ExecutionMembers(execution,false));
   g_trade_events.OnChange();
   if(execution.state=="unknown")
      g_recovery.Hurry();
  }

void CCommands::CloseAll(const uchar &peer[],const SRequest &request,const SMandate &mandate,SExecution &execution)
  {
   STrade terms={};
   ulong  magic=0;
   int    symbol_node=g_request.Find(request.args,"symbol");
   int    magic_node=g_request.Find(request.args,"magic");
   string symbol="";
   g_orders.Read("close_all",request.args,terms,execution);
   if(!g_request.IsAbsent(symbol_node))
     {
      symbol=g_symbols.ToBroker(g_request.Text(symbol_node));
      if(symbol=="")
         Refuse(execution,"SYMBOL_UNKNOWN","the broker has no symbol "+StringSubstr(g_request.Text(symbol_node),0,40));
     }
   if(!g_request.IsAbsent(magic_node) && (!g_request.Is(magic_node,JSON_TEXT) || !ParseUlong(g_request.Text(magic_node),magic)))
      Refuse(execution,"INVALID_ARGS","magic: must be a string of digits");
   if(g_jobs.IsFull())
      Refuse(execution,"LIMIT","too many close_all at once");
   if(execution.code!="")
     {
      RefusedTrade(peer,request,execution);
      return;
     }
   g_jobs.CloseAll(peer,request,mandate,terms,symbol,mandate.operator_asked,!g_request.IsAbsent(magic_node),magic);
  }

//--- in memory, then on disk, then told
void CCommands::Latch(const string reason,const string by,const long epoch)
  {
   bool before=g_latch.IsStopped();
   g_latch.Stop(reason,by,epoch);
   if(before)
      return;
   Print("Medulla: STOPPED by ",by,": ",reason);
   string data="\"stopped\":true";
   JsonPutText(data,"reason",g_latch.Reason());
   JsonPutText(data,"by",by);
   g_wire.Publish("stopped","stopped",JsonObject(data));
  }

void CCommands::Stop(const uchar &peer[],const SRequest &request)
  {
   int reason=g_request.Find(request.args,"reason");
   Latch(g_request.Is(reason,JSON_TEXT) ? g_request.Text(reason) : "no reason was given","executor",request.epoch);
   string data="\"stopped\":true";
   JsonPutWhole(data,"epoch",g_latch.Epoch());
   JsonPutWhole(data,"latched_at",g_latch.LatchedAt());
   bool durable=g_latch.IsDurable();
   g_wire.Reply(peer,request,durable,durable ? "" : "LEDGER_FAILED",
                durable ? "" : "stopped in memory; the latch could not be written and a restart would forget it",data);
   bool orders=g_request.Is(g_request.Find(request.args,"cancel_orders"),JSON_TRUE);
   bool positions=g_request.Is(g_request.Find(request.args,"close_positions"),JSON_TRUE);
   if(orders || positions)
      g_jobs.StopActions(orders,positions);
  }

void CCommands::Resume(const uchar &peer[],const SRequest &request)
  {
   string data="";
   if(g_latch.IsStopped() && request.epoch<=g_latch.LatchedEpoch())
     {
      JsonPutWhole(data,"epoch",g_latch.LatchedEpoch());
      Refused(peer,request,"EPOCH_TOO_LOW","resume needs an epoch above the latched one",data);
      return;
     }
   if(g_gate.CheckStopFile())
     {
      Refused(peer,request,"STOPPED","the stop file "+InpStopFile+" is still there","");
      return;
     }
   if(!g_latch.Release(request.epoch))
     {
      Refused(peer,request,"LEDGER_FAILED","the latch could not be written; the terminal stays stopped","");
      return;
     }
   JsonPut(data,"stopped","false");
   JsonPutWhole(data,"epoch",g_latch.Epoch());
   g_wire.Reply(peer,request,true,"","",data);
  }
#endif
//+------------------------------------------------------------------+
