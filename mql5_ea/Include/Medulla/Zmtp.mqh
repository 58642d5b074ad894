//+------------------------------------------------------------------+
//| Zmtp.mqh - one DEALER connection of ZMTP 3.0 (rfc.zeromq.org 23) |
//| over MQL5's native sockets: greeting with mechanism NULL, READY, |
//| frames, PING answered. Knows nothing of what the frames mean.    |
//+------------------------------------------------------------------+
#ifndef MEDULLA_ZMTP_MQH
#define MEDULLA_ZMTP_MQH
#include <Medulla\Text.mqh>

#define ZMTP_MORE       1
#define ZMTP_LONG       2
#define ZMTP_COMMAND    4
#define ZMTP_LARGEST    262144
#define ZMTP_MAX_PARTS  64
#define ZMTP_HANDSHAKE_MS 3000
#define ZMTP_RETRY_MS   500

enum EZmtpState
  {
   ZMTP_CLOSED,
   ZMTP_GREETING,
   ZMTP_READY_WAIT,
   ZMTP_UP
  };

class CZmtp
  {
private:
   int               m_socket;
   EZmtpState        m_state;
   uchar             m_input[];       // received and not yet read: from m_head on
   int               m_head;
   ulong             m_since;
   ulong             m_retry_at;
   uchar             m_first[];       // parts of the message that is coming in
   uchar             m_second[];
   int               m_parts;
   int               Waiting() const { return(ArraySize(m_input)-m_head); }
   void              Drop();
   bool              SendAll(const uchar &bytes[]);
   bool              ReadBytes(const uint length,const uint timeout);
   bool              Fill(const bool wait);
   bool              ReadGreeting();
   int               ReadFrame(int &flags,uchar &body[]);
   bool              IsCommand(const uchar &body[],const string name) const;
   bool              OnCommand(const uchar &body[]);
   void              AppendFrame(uchar &to[],const int flags,const uchar &body[]) const;
public:
                     CZmtp() { m_socket=INVALID_HANDLE; m_state=ZMTP_CLOSED; m_head=0; m_since=0; m_retry_at=0; m_parts=0; }
   bool              IsUp() const { return(m_state==ZMTP_UP); }
   void              Connect(const string host,const int port);
   void              Close() { Drop(); m_retry_at=0; }
   int               Receive(const bool wait,uchar &body[],uchar &mac[]);
   bool              Send(const uchar &body[],const uchar &mac[]);
  };

void CZmtp::Drop()
  {
   if(m_socket!=INVALID_HANDLE)
      SocketClose(m_socket);
   m_socket=INVALID_HANDLE;
   m_state=ZMTP_CLOSED;
   ArrayResize(m_input,0);
   m_head=0;
   m_parts=0;
   m_retry_at=GetTickCount64()+ZMTP_RETRY_MS;
  }

//--- keeps the connection: does nothing while it lives, tries again when it does not
void CZmtp::Connect(const string host,const int port)
  {
   if(m_state!=ZMTP_CLOSED || GetTickCount64()<m_retry_at)
      return;
   m_socket=SocketCreate();
   if(m_socket==INVALID_HANDLE || !SocketConnect(m_socket,host,(uint)port,200))
     {
      Drop();
      return;
     }
   m_since=GetTickCount64();
   m_state=ZMTP_GREETING;
   uchar greeting[];
   ArrayResize(greeting,64);
   ArrayInitialize(greeting,(uchar)0);
   greeting[0]=0xFF;
   greeting[9]=0x7F;
   greeting[10]=3;
   greeting[12]='N';
   greeting[13]='U';
   greeting[14]='L';
   greeting[15]='L';
   SendAll(greeting);
  }

bool CZmtp::SendAll(const uchar &bytes[])
  {
   if(m_socket==INVALID_HANDLE)
      return(false);
   if(SocketSend(m_socket,bytes,(uint)ArraySize(bytes))==ArraySize(bytes))
      return(true);
   Drop();
   return(false);
  }

bool CZmtp::ReadBytes(const uint length,const uint timeout)
  {
   uchar bytes[];
   int count=SocketRead(m_socket,bytes,length,timeout);
   if(count<=0)
      return(false);
   int at=ArraySize(m_input);
   ArrayResize(m_input,at+count,65536);
   ArrayCopy(m_input,bytes,at,0,count);
   return(true);
  }

//--- SocketIsReadable may answer 1 for an empty buffer, so a failed read means nothing by itself. While waiting, a single byte is
//--- asked for: the platform may wait for all that is asked.
bool CZmtp::Fill(const bool wait)
  {
   if(m_head>65536 || m_head==ArraySize(m_input))
     {
      if(m_head>0)
         ArrayRemove(m_input,0,m_head);
      m_head=0;
     }
   bool got=(wait && Waiting()==0 && ReadBytes(1,2));
   uint available=SocketIsReadable(m_socket);
   if(available>0 && ReadBytes(MathMin(available,(uint)65536),1))
      got=true;
   if(!got && !SocketIsConnected(m_socket))
     {
      Drop();
      return(false);
     }
   if(m_state!=ZMTP_UP && GetTickCount64()-m_since>ZMTP_HANDSHAKE_MS)
     {
      Drop();
      return(false);
     }
   return(true);
  }

bool CZmtp::ReadGreeting()
  {
   if(Waiting()<64)
      return(false);
   int at=m_head;
   bool good=(m_input[at]==0xFF && (m_input[at+9]&1)==1 && m_input[at+10]>=3 && TextOf(m_input,at+12,20)=="NULL");
   m_head+=64;
   if(!good)
     {
      Drop();
      return(false);
     }
   uchar ready[];
   uchar value[];
   uchar frame[];
   BytesOf("?READY?Socket-Type",ready);
   ready[0]=5;
   ready[6]=11;
   BytesOf("????DEALER",value);
   value[0]=0;
   value[1]=0;
   value[2]=0;
   value[3]=6;
   AppendBytes(ready,value);
   AppendFrame(frame,ZMTP_COMMAND,ready);
   m_state=ZMTP_READY_WAIT;
   return(SendAll(frame));
  }

//--- 1: a frame; 0: not complete yet; -1: not ZMTP
int CZmtp::ReadFrame(int &flags,uchar &body[])
  {
   if(Waiting()<2)
      return(0);
   flags=(int)m_input[m_head];
   int  head=2;
   long size=(long)m_input[m_head+1];
   if((flags&0xF8)!=0)
      return(-1);
   if((flags&ZMTP_LONG)!=0)
     {
      head=9;
      if(Waiting()<head)
         return(0);
      size=0;
      for(int i=1; i<=8; i++)
        {
         if(size>ZMTP_LARGEST)
            return(-1);
         size=size*256+(long)m_input[m_head+i];
        }
     }
   if(size>ZMTP_LARGEST)
      return(-1);
   if((long)Waiting()<head+size)
      return(0);
   ArrayResize(body,0);
   ArrayCopy(body,m_input,0,m_head+head,(int)size);
   if(size==0)
      ArrayResize(body,0);
   m_head+=head+(int)size;
   return(1);
  }

void CZmtp::AppendFrame(uchar &to[],const int flags,const uchar &body[]) const
  {
   int  size=ArraySize(body);
   int  head=(size<256 ? 2 : 9);
   int  at=ArraySize(to);
   ArrayResize(to,at+head);
   to[at]=(uchar)(size<256 ? flags : (flags|ZMTP_LONG));
   if(size<256)
      to[at+1]=(uchar)size;
   else
      for(int i=1; i<=8; i++)
         to[at+i]=(uchar)(((long)size>>(8*(8-i)))&0xFF);
   AppendBytes(to,body);
  }

bool CZmtp::IsCommand(const uchar &body[],const string name) const
  {
   int length=StringLen(name);
   return(ArraySize(body)>length && (int)body[0]==length && TextOf(body,1,length)==name);
  }

bool CZmtp::OnCommand(const uchar &body[])
  {
   if(IsCommand(body,"READY"))
     {
      m_state=ZMTP_UP;
      return(true);
     }
   if(IsCommand(body,"PING"))
     {
      uchar pong[];
      uchar context[];
      uchar frame[];
      BytesOf("?PONG",pong);
      pong[0]=4;
      if(ArraySize(body)>7)   // name, then two bytes of time to live, then what has to come back
         ArrayCopy(context,body,0,7);
      AppendBytes(pong,context);
      AppendFrame(frame,ZMTP_COMMAND,pong);
      return(SendAll(frame));
     }
   if(IsCommand(body,"ERROR"))
     {
      Drop();
      return(false);
     }
   return(true);
  }

//--- 1: a message of two parts; 0: none yet; -1: something else, dropped
int CZmtp::Receive(const bool wait,uchar &body[],uchar &mac[])
  {
   if(m_state==ZMTP_CLOSED || !Fill(wait))
      return(0);
   if(m_state==ZMTP_GREETING && !ReadGreeting())
      return(0);
   for(int frames=0; frames<ZMTP_MAX_PARTS; frames++)
     {
      int   flags=0;
      uchar part[];
      int   outcome=ReadFrame(flags,part);
      if(outcome==0)
         return(0);
      bool command=((flags&ZMTP_COMMAND)!=0);
      if(outcome<0 || (!command && m_state!=ZMTP_UP))
        {
         Drop();
         return(-1);
        }
      if(command)
        {
         if(!OnCommand(part))
            return(0);
         continue;
        }
      m_parts++;
      if(m_parts==1)
        {
         ArrayResize(m_first,0);
         AppendBytes(m_first,part);
        }
      if(m_parts==2)
        {
         ArrayResize(m_second,0);
         AppendBytes(m_second,part);
        }
      if((flags&ZMTP_MORE)!=0)
         continue;
      bool whole=(m_parts==2);
      m_parts=0;
      if(!whole)
         return(-1);
      ArrayResize(body,0);
      ArrayResize(mac,0);
      AppendBytes(body,m_first);
      AppendBytes(mac,m_second);
      return(1);
     }
   return(-1);
  }

bool CZmtp::Send(const uchar &body[],const uchar &mac[])
  {
   if(m_state!=ZMTP_UP)
      return(false);
   uchar frames[];
   AppendFrame(frames,ZMTP_MORE,body);
   AppendFrame(frames,0,mac);
   return(SendAll(frames));
  }
#endif
//+------------------------------------------------------------------+
