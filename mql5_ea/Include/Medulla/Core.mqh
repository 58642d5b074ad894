//+------------------------------------------------------------------+
//| Core.mqh - the life of the EA: start, the timer's turn, end.     |
//| Both fronts include their transport first and then this.         |
//+------------------------------------------------------------------+
#ifndef MEDULLA_CORE_MQH
#define MEDULLA_CORE_MQH
#include <Medulla\Panel.mqh>
#include <Medulla\SelfTest.mqh>

#define TIMER_MS          15
#define RECEIVE_BUDGET_US 12000
#define MOST_MESSAGES     64

class CMedulla
  {
private:
   bool              m_started;
   string            m_problem;       // why it has not started, for the panel
   long              m_login;
   int               m_lock;
   long              m_try_at;        // monotonic ms
   int               m_tries;
   long              m_second_at;
   long              m_file_at;
   void              Say(const string problem);
   bool              LoadKey();
   bool              Lock();
   void              TryStart();
   void              Announce(const bool stop);
   void              Receive();
   void              EverySecond();
   void              WatchLimits();
public:
                     CMedulla() { m_started=false; m_problem=""; m_login=0; m_lock=INVALID_HANDLE; m_try_at=0; m_tries=0; m_second_at=0; m_file_at=0; }
   int               Init();
   void              Deinit(const int reason);
   void              Turn();
   void              Shutdown();
   void              OnClick(const string name);
  };

CMedulla g_medulla;

void CMedulla::Say(const string problem)
  {
   if(problem!="" && problem!=m_problem)
      Print("Medulla: ",problem);
   m_problem=problem;
  }

int CMedulla::Init()
  {
   if(StringFind(InpHost,"127.")!=0)
     {
      Print("Medulla: InpHost must be an address of this machine (127.x.x.x); nothing was started.");
      return(INIT_PARAMETERS_INCORRECT);
     }
   g_panel.Create();
   EventSetMillisecondTimer(TIMER_MS);
   if(InpSelfTest)
     {
      bool good=g_self_test.Run();
      Say(good ? "self-test passed; set InpSelfTest=false to trade" : "SELF-TEST FAILED; see the Experts log");
      m_try_at=9223372036854775807;
      return(INIT_SUCCEEDED);
     }
   if(m_started)   // the chart changed its symbol or period: everything lives on
      return(INIT_SUCCEEDED);
   MathSrand((int)GetTickCount());
   g_entropy.Gather(2000);
   TryStart();
   return(INIT_SUCCEEDED);
  }

//--- 64 lower-case hex digits; made here if the executor was not first
bool CMedulla::LoadKey()
  {
   int   common=(InpKeyInCommon ? FILE_COMMON : 0);
   uchar bytes[];
   uchar key[];
   if(!FileIsExist(InpKeyFile,common))
     {
      g_entropy.Gather(20000);
      BytesOf(g_entropy.Hex32()+g_entropy.Hex32()+"\n",bytes);
      if(!WriteFile(InpKeyFile,bytes,common))
         return(false);
     }
   if(!ReadFile(InpKeyFile,128,bytes,common))
      return(false);
   string text=TextOf(bytes,0,ArraySize(bytes));
   StringTrimRight(text);
   if(!IsHex(text,64) || !BytesOfHex(text,key))
      return(false);
   g_seal.SetKey(key);
   return(true);
  }

//--- one EA an account on this machine: the system releases the file when a terminal dies
bool CMedulla::Lock()
  {
   if(m_lock!=INVALID_HANDLE)
      return(true);
   m_lock=FileOpen(StringFormat("Medulla\\account_%I64d.lock",m_login),FILE_WRITE|FILE_BIN|FILE_COMMON);
   return(m_lock!=INVALID_HANDLE);
  }

void CMedulla::TryStart()
  {
   string problem="";
   m_tries++;   // less and less often: sockets made again and again have crashed terminals
   m_try_at=MonotonicMs()+MathMin(30000,500+500*m_tries);
   m_login=CurrentLogin();
   if(m_login==0)
     {
      Say("waiting for an account");
      return;
     }
   if(!Lock())
     {
      Say("another Medulla EA serves this account already; remove one of them");
      return;
     }
   if(!LoadKey())
     {
      Say("the key file "+InpKeyFile+" must hold 64 hex digits; delete it, and restart terminal and executor");
      return;
     }
   if(!g_ledger.Open(StringFormat("Medulla\\ledger_%I64d.jsonl",m_login)))
     {
      Say("the ledger cannot be opened; check the rights of MQL5\\Files\\Medulla");
      return;
     }
   g_latch.Open(StringFormat("Medulla\\state_%I64d.json",m_login),g_ledger.WasThere());
   if(!g_transport.Open(InpHost,InpCommandPort,InpStreamPort,problem))
     {
      Say(problem);
      return;
     }
   g_wire.NewBoot();
   Announce(false);
   Announce(true);
   g_sessions.Clear();
   g_jobs.Clear();
   g_ticks.Clear();
   g_trade_events.Begin();
   g_recovery.Begin();
   m_started=true;
   m_tries=0;
   Say("");
   PrintFormat("Medulla %s serves account %I64d, command port %d, %d commands in the ledger",MEDULLA_VERSION,m_login,InpCommandPort,g_ledger.Count());
  }

//--- section 9: what a terminal that cannot listen says until it is greeted
void CMedulla::Announce(const bool stop)
  {
   uchar  body[];
   uchar  mac[];
   string members="\"v\":1,\"from\":\"terminal\"";
   JsonPutText(members,"here",stop ? "stop" : "command");
   JsonPutText(members,"boot",g_wire.Boot());
   BytesOf(JsonObject(members),body);
   g_seal.Mac(body,mac);
   g_transport.SetAnnouncement(stop,body,mac);
  }

void CMedulla::Shutdown()
  {
   g_transport.Close();
   g_sessions.Clear();
   g_jobs.Clear();
   g_ledger.Close();
   if(m_lock!=INVALID_HANDLE)
      FileClose(m_lock);
   m_lock=INVALID_HANDLE;
   m_started=false;
  }

void CMedulla::Deinit(const int reason)
  {
   EventKillTimer();
   if(reason==REASON_CHARTCHANGE)
      return;
   Shutdown();
   g_panel.Remove();
  }

//--- Listens for up to 12 of the timer's 15 ms while somebody speaks: an answer then takes less than a millisecond instead of
//--- waiting for the next timer event. Nobody there: one look, no waiting.
void CMedulla::Receive()
  {
   uchar peer[];
   uchar body[];
   uchar mac[];
   ulong begun=GetMicrosecondCount();
   bool  busy=g_sessions.HeardWithin(2000);
   int   empty=0;
   for(int i=0; i<MOST_MESSAGES; i++)
     {
      int outcome=g_transport.Receive(busy && g_jobs.Waiting()==0,peer,body,mac);
      if(outcome>0)
         g_commands.Handle(peer,body,mac);
      if(outcome<0)
         g_wire.Drop();
      g_jobs.Pump();
      g_trade_events.Pump(false);
      if(outcome==0 && (!busy || ++empty>=3))
         return;
      if(GetMicrosecondCount()-begun>=RECEIVE_BUDGET_US)
         return;
     }
  }

void CMedulla::Turn()
  {
   long login=CurrentLogin();
   if(m_started && login!=0 && login!=m_login)
     {
      Print("Medulla: the account has changed; starting again for the new one");
      Shutdown();
     }
   if(!m_started)
     {
      if(MonotonicMs()>=m_try_at)
         TryStart();
      g_panel.Draw(m_problem);
      return;
     }
   g_transport.Pump();
   Receive();
   g_ticks.Pump();
   if(MonotonicMs()>=m_file_at)
     {
      m_file_at=MonotonicMs()+250;
      if(!g_latch.IsStopped() && g_gate.CheckStopFile())
         g_commands.Latch("stop file "+InpStopFile,"file",0);
     }
   if(MonotonicMs()>=m_second_at)
      EverySecond();
   g_recovery.Pump();
   g_panel.Draw(m_problem);
  }

void CMedulla::EverySecond()
  {
   m_second_at=MonotonicMs()+1000;
   g_latch.Retry();
   if(!g_latch.IsStopped())
      WatchLimits();
   g_wire.Publish("heartbeat","heartbeat",JsonObject(g_questions.HeartbeatMembers()));
  }

void CMedulla::WatchLimits()
  {
   int session=g_sessions.Command();
   if(InpStopOnSilence && session>=0 && g_sessions.IsSilent(session))
      g_commands.Latch("the executor has been silent","silence",0);
   if(InpMaxDailyLoss<=0.0 || !IsSynchronised())
      return;
   double result=g_gate.DayResult();
   if(result<=-InpMaxDailyLoss)
      g_commands.Latch("daily loss limit: "+MoneyText(result)+" "+AccountInfoString(ACCOUNT_CURRENCY),"limit",0);
  }

//--- The button works without an executor, and before the EA has started: then by the stop file.
void CMedulla::OnClick(const string name)
  {
   if(!g_panel.IsStopButton(name))
      return;
   g_panel.ReleaseButton();
   if(m_started)
     {
      g_commands.Latch("STOP button on the chart","button",0);
      return;
     }
   uchar text[];
   BytesOf("STOP button on the chart\n",text);
   if(!WriteFile(InpStopFile,text))
      Alert("Medulla: the stop could not be written. Switch Algo Trading off in the terminal's toolbar.");
  }

int OnInit()
  {
   return(g_medulla.Init());
  }

void OnDeinit(const int reason)
  {
   g_medulla.Deinit(reason);
  }

void OnTimer()
  {
   g_medulla.Turn();
  }

void OnTradeTransaction(const MqlTradeTransaction &trans,const MqlTradeRequest &request,const MqlTradeResult &result)
  {
   g_trade_events.OnChange();
  }

void OnChartEvent(const int id,const long &lparam,const double &dparam,const string &sparam)
  {
   if(id==CHARTEVENT_OBJECT_CLICK)
      g_medulla.OnClick(sparam);
  }
#endif
//+------------------------------------------------------------------+
