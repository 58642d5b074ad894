//+------------------------------------------------------------------+
//| TransportZmtp.mqh - the terminal cannot listen: two DEALERs go   |
//| to the executor's ROUTERs, one for commands and one of its stop  |
//| thread (EA_PROTOCOL.md, section 9). No DLL.                      |
//| The stop connection is read before every command.                |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TRANSPORT_MQH
#define MEDULLA_TRANSPORT_MQH
#include <Medulla\Zmtp.mqh>

#define PEER_COMMAND 0
#define PEER_STOP    1
#define ANNOUNCE_MS  1000

class CTransport
  {
private:
   CZmtp             m_command;
   CZmtp             m_stop;
   string            m_host;
   int               m_port;
   int               m_stop_port;
   bool              m_open;
   bool              m_command_greeted;
   bool              m_stop_greeted;
   ulong             m_command_at;    // when to announce again, ms
   ulong             m_stop_at;
   ulong             m_heard_at;
   uchar             m_command_here[];
   uchar             m_command_mac[];
   uchar             m_stop_here[];
   uchar             m_stop_mac[];
public:
                     CTransport();
   string            Name() const { return("Medulla EA (no DLL)"); }
   bool              Open(const string host,const int command_port,const int stream_port,string &problem);
   void              Close();
   bool              IsOpen() const { return(m_open); }
   bool              IsUp() const { return(m_command.IsUp()); }
   void              Pump();
   void              SetAnnouncement(const bool stop,const uchar &body[],const uchar &mac[]);
   void              Greeted(const uchar &peer[]);
   int               Receive(const bool wait,uchar &peer[],uchar &body[],uchar &mac[]);
   void              Reply(const uchar &peer[],const uchar &body[],const uchar &mac[]);
   void              Publish(const string topic,const uchar &body[],const uchar &mac[]);
  };

CTransport::CTransport()
  {
   m_host="";
   m_port=0;
   m_stop_port=0;
   m_open=false;
   m_command_greeted=false;
   m_stop_greeted=false;
   m_command_at=0;
   m_stop_at=0;
   m_heard_at=0;
  }

bool CTransport::Open(const string host,const int command_port,const int stream_port,string &problem)
  {
   problem="";
   m_host=host;
   m_port=command_port;
   m_stop_port=stream_port;   // nothing listens here for a stream: the number is free
   m_open=true;
   return(true);
  }

void CTransport::Close()
  {
   m_command.Close();
   m_stop.Close();
   m_open=false;
   m_command_greeted=false;
   m_stop_greeted=false;
  }

//--- what this end says, sealed, until the executor greets it
void CTransport::SetAnnouncement(const bool stop,const uchar &body[],const uchar &mac[])
  {
   if(stop)
     {
      ArrayCopy(m_stop_here,body);
      ArrayCopy(m_stop_mac,mac);
      return;
     }
   ArrayCopy(m_command_here,body);
   ArrayCopy(m_command_mac,mac);
  }

void CTransport::Pump()
  {
   if(!m_open)
      return;
   m_command_greeted=m_command_greeted && m_command.IsUp();
   m_stop_greeted=m_stop_greeted && m_stop.IsUp();
   m_command.Connect(m_host,m_port);
   m_stop.Connect(m_host,m_stop_port);
   ulong now=GetTickCount64();
   if(m_command.IsUp() && !m_command_greeted && now>=m_command_at && m_command.Send(m_command_here,m_command_mac))
      m_command_at=now+ANNOUNCE_MS;
   if(m_stop.IsUp() && !m_stop_greeted && now>=m_stop_at && m_stop.Send(m_stop_here,m_stop_mac))
      m_stop_at=now+ANNOUNCE_MS;
   if(!m_command.IsUp())
      m_command_at=0;
   if(!m_stop.IsUp())
      m_stop_at=0;
  }

void CTransport::Greeted(const uchar &peer[])
  {
   if(peer[0]==PEER_STOP)
      m_stop_greeted=true;
   else
      m_command_greeted=true;
  }

int CTransport::Receive(const bool wait,uchar &peer[],uchar &body[],uchar &mac[])
  {
   ArrayResize(peer,1);
   peer[0]=PEER_STOP;
   int outcome=m_stop.Receive(false,body,mac);
   if(outcome!=0)
      return(outcome);
   peer[0]=PEER_COMMAND;
   outcome=m_command.Receive(wait,body,mac);
   if(outcome==1)
      m_heard_at=GetTickCount64();
   return(outcome);
  }

void CTransport::Reply(const uchar &peer[],const uchar &body[],const uchar &mac[])
  {
   if(peer[0]==PEER_STOP)
      m_stop.Send(body,mac);
   else
      m_command.Send(body,mac);
  }

//--- SocketSend blocks when nobody reads: to an executor that has been silent nothing is streamed
void CTransport::Publish(const string topic,const uchar &body[],const uchar &mac[])
  {
   if(m_command_greeted && GetTickCount64()-m_heard_at<5000)
      m_command.Send(body,mac);
  }
#endif
//+------------------------------------------------------------------+
