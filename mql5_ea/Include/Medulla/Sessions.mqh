//+------------------------------------------------------------------+
//| Sessions.mqh - who may speak: EA_PROTOCOL.md, section 3.         |
//| A hello opens a pending session; its first valid frame makes it  |
//| the active one. Frames of replaced sessions find nothing here.   |
//+------------------------------------------------------------------+
#ifndef MEDULLA_SESSIONS_MQH
#define MEDULLA_SESSIONS_MQH
#include <Medulla\Platform.mqh>

#define SILENCE_MS        10000
#define MAX_STOP_SESSIONS 8
#define MAX_PENDING       64

struct SSession
  {
   string            sid;
   string            instance;
   bool              is_command;
   bool              is_active;
   bool              is_silent;       // was unheard for too long: no trades until a fresh session
   long              last_id;
   long              last_heard;      // monotonic ms
   long              opened;          // monotonic ms
   long              clock_zero;      // ts of the hello minus the monotonic clock then
  };

class CSessions
  {
private:
   SSession          m_sessions[];
   void              RemoveOldest(const bool active,const bool command,const int most);
public:
   int               Count() const { return(ArraySize(m_sessions)); }
   int               Find(const string sid) const;
   int               Command() const;
   string            Sid(const int i) const { return(m_sessions[i].sid); }
   string            Instance(const int i) const { return(m_sessions[i].instance); }
   bool              IsCommand(const int i) const { return(m_sessions[i].is_command); }
   bool              IsActive(const int i) const { return(m_sessions[i].is_active); }
   bool              IsSilent(const int i) const;
   bool              Accept(const int i,const long id);
   void              Hear(const int i);
   long              Clock(const int i) const { return(MonotonicMs()+m_sessions[i].clock_zero); }
   long              Deadline(const int i,const long ts,const long ttl) const;
   bool              IsTakenFrom(const string instance) const;
   void              OpenPending(const string sid,const string instance,const bool command,const long ts);
   void              Activate(const int i);
   void              Remove(const int i);
   void              Clear() { ArrayResize(m_sessions,0); }
   bool              HeardWithin(const long ms) const;
  };

CSessions g_sessions;

int CSessions::Find(const string sid) const
  {
   for(int i=0; i<ArraySize(m_sessions); i++)
      if(m_sessions[i].sid==sid)
         return(i);
   return(-1);
  }

//--- moved one by one: the platform's array functions are for structures without strings
void CSessions::Remove(const int i)
  {
   int last=ArraySize(m_sessions)-1;
   for(int k=i; k<last; k++)
      m_sessions[k]=m_sessions[k+1];
   ArrayResize(m_sessions,last);
  }

//--- the active command session, -1: none
int CSessions::Command() const
  {
   for(int i=0; i<ArraySize(m_sessions); i++)
      if(m_sessions[i].is_command && m_sessions[i].is_active)
         return(i);
   return(-1);
  }

bool CSessions::IsSilent(const int i) const
  {
   return(m_sessions[i].is_silent || MonotonicMs()-m_sessions[i].last_heard>SILENCE_MS);
  }

//--- request numbers only rise
bool CSessions::Accept(const int i,const long id)
  {
   if(id<=m_sessions[i].last_id)
      return(false);
   m_sessions[i].last_id=id;
   return(true);
  }

//--- only what was admitted breaks a silence
void CSessions::Hear(const int i)
  {
   m_sessions[i].is_silent=(m_sessions[i].is_active && IsSilent(i));
   m_sessions[i].last_heard=MonotonicMs();
  }

//--- Clock: the session clock (ms) as this end reads it. It began when the hello was read, however long that had lain.
//--- monotonic ms after which a request may not begin: its `ts` runs on the session clock. Never later than ttl from now,
//--- so that a sender whose clock runs ahead gains nothing.
long CSessions::Deadline(const int i,const long ts,const long ttl) const
  {
   return(MathMin(ts-m_sessions[i].clock_zero,MonotonicMs())+ttl);
  }

//--- whether another executor holds the account
bool CSessions::IsTakenFrom(const string instance) const
  {
   int i=Command();
   return(i>=0 && m_sessions[i].instance!=instance && MonotonicMs()-m_sessions[i].last_heard<=SILENCE_MS);
  }

void CSessions::OpenPending(const string sid,const string instance,const bool command,const long ts)
  {
   RemoveOldest(false,command,MAX_PENDING-1);
   int count=ArraySize(m_sessions);
   ArrayResize(m_sessions,count+1,32);
   m_sessions[count].sid=sid;
   m_sessions[count].instance=instance;
   m_sessions[count].is_command=command;
   m_sessions[count].is_active=false;
   m_sessions[count].is_silent=false;
   m_sessions[count].last_id=0;
   m_sessions[count].last_heard=MonotonicMs();
   m_sessions[count].opened=MonotonicMs();
   m_sessions[count].clock_zero=ts-MonotonicMs();
  }

//--- sessions stand in the order of their opening
void CSessions::RemoveOldest(const bool active,const bool command,const int most)
  {
   int count=0;
   for(int i=ArraySize(m_sessions)-1; i>=0; i--)
      if(m_sessions[i].is_active==active && m_sessions[i].is_command==command && ++count>most)
         Remove(i);
  }

void CSessions::Activate(const int i)
  {
   string sid=m_sessions[i].sid;
   string instance=m_sessions[i].instance;
   bool   command=m_sessions[i].is_command;
   for(int k=i-1; k>=0; k--)   // its own older hellos are superseded: only a newer one may still take over
      if(!m_sessions[k].is_active && m_sessions[k].is_command==command && m_sessions[k].instance==instance)
         Remove(k);
   if(command)
     {
      int before=Command();
      if(before>=0)
         Remove(before);
     }
   else
      RemoveOldest(true,false,MAX_STOP_SESSIONS-1);
   m_sessions[Find(sid)].is_active=true;
  }

bool CSessions::HeardWithin(const long ms) const
  {
   for(int i=0; i<ArraySize(m_sessions); i++)
      if(MonotonicMs()-m_sessions[i].last_heard<=ms)
         return(true);
   return(false);
  }
#endif
//+------------------------------------------------------------------+
