//+------------------------------------------------------------------+
//| TransportZmq.mqh - the terminal listens: ROUTER for commands and |
//| stop, PUB for the stream, through libzmq.dll.                    |
//| One context and two sockets, made once: making them again and    |
//| again has crashed terminals (dingmaotu/mql-zmq issue 37).        |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TRANSPORT_MQH
#define MEDULLA_TRANSPORT_MQH
#include <Medulla\Text.mqh>

#import "libzmq.dll"
long zmq_ctx_new();
int  zmq_ctx_set(long context,int option,int value);
int  zmq_ctx_shutdown(long context);
int  zmq_ctx_term(long context);
long zmq_socket(long context,int type);
int  zmq_close(long socket);
int  zmq_bind(long socket,const uchar &endpoint[]);
int  zmq_setsockopt(long socket,int option,const uchar &value[],ulong length);
int  zmq_getsockopt(long socket,int option,uchar &value[],ulong &length);
int  zmq_send(long socket,const uchar &buffer[],ulong length,int flags);
int  zmq_recv(long socket,uchar &buffer[],ulong length,int flags);
#import

#define ZMQ_PUB        1
#define ZMQ_ROUTER     6
#define ZMQ_RCVMORE    13
#define ZMQ_LINGER     17
#define ZMQ_MAXMSGSIZE 22
#define ZMQ_SNDHWM     23
#define ZMQ_RCVHWM     24
#define ZMQ_RCVTIMEO   27
#define ZMQ_DONTWAIT   1
#define ZMQ_SNDMORE    2
#define ZMQ_BLOCKY     70

#define FRAME_LIMIT    262144
#define MAX_PARTS      64
#define RECEIVE_MS     4

class CTransport
  {
private:
   long              m_context;
   long              m_router;
   long              m_pub;
   uchar             m_buffer[];
   bool              m_draining;      // in the middle of a message with too many parts
   bool              SetNumber(const long socket,const int option,const long value,const int size);
   bool              Bind(const long socket,const string host,const int port);
   bool              HasMore();
   int               ReceivePart(uchar &part[],const int flags);
public:
                     CTransport() { m_context=0; m_router=0; m_pub=0; m_draining=false; }
   string            Name() const { return("Medulla EA (libzmq)"); }
   bool              Open(const string host,const int command_port,const int stream_port,string &problem);
   void              Close();
   bool              IsOpen() const { return(m_router!=0); }
   bool              IsUp() const { return(m_router!=0); }
   void              Pump() {}
   void              SetAnnouncement(const bool stop,const uchar &body[],const uchar &mac[]) {}
   void              Greeted(const uchar &peer[]) {}
   int               Receive(const bool wait,uchar &peer[],uchar &body[],uchar &mac[]);
   void              Reply(const uchar &peer[],const uchar &body[],const uchar &mac[]);
   void              Publish(const string topic,const uchar &body[],const uchar &mac[]);
  };

//--- options travel as bytes, so that one prototype serves 32 and 64 bits
bool CTransport::SetNumber(const long socket,const int option,const long value,const int size)
  {
   uchar bytes[];
   ArrayResize(bytes,size);
   for(int i=0; i<size; i++)
      bytes[i]=(uchar)((value>>(8*i))&0xFF);
   return(zmq_setsockopt(socket,option,bytes,(ulong)size)==0);
  }

bool CTransport::Bind(const long socket,const string host,const int port)
  {
   uchar endpoint[];
   StringToCharArray(StringFormat("tcp://%s:%d",host,port),endpoint,0,WHOLE_ARRAY,CP_UTF8);
   return(zmq_bind(socket,endpoint)==0);
  }

bool CTransport::Open(const string host,const int command_port,const int stream_port,string &problem)
  {
   if(IsOpen())
      return(true);
   if(m_context==0)
     {
      m_context=zmq_ctx_new();
      zmq_ctx_set(m_context,ZMQ_BLOCKY,0);
     }
   ArrayResize(m_buffer,FRAME_LIMIT+1024);
   m_draining=false;
   m_router=zmq_socket(m_context,ZMQ_ROUTER);
   m_pub=zmq_socket(m_context,ZMQ_PUB);
   bool good=(m_router!=0 && m_pub!=0);
   good=good && SetNumber(m_router,ZMQ_LINGER,0,4) && SetNumber(m_pub,ZMQ_LINGER,0,4);
   good=good && SetNumber(m_router,ZMQ_RCVTIMEO,RECEIVE_MS,4);
   good=good && SetNumber(m_router,ZMQ_RCVHWM,1000,4) && SetNumber(m_router,ZMQ_SNDHWM,1000,4);
   good=good && SetNumber(m_pub,ZMQ_SNDHWM,10000,4);
   good=good && SetNumber(m_router,ZMQ_MAXMSGSIZE,FRAME_LIMIT,8) && SetNumber(m_pub,ZMQ_MAXMSGSIZE,FRAME_LIMIT,8);
   if(!good)
      problem="libzmq could not make its sockets";
   else
      if(!Bind(m_router,host,command_port))
         problem=StringFormat("port %d is taken by another program",command_port);
      else
         if(!Bind(m_pub,host,stream_port))
            problem=StringFormat("port %d is taken by another program",stream_port);
         else
            return(true);
   if(m_router!=0)
      zmq_close(m_router);
   if(m_pub!=0)
      zmq_close(m_pub);
   m_router=0;
   m_pub=0;
   return(false);
  }

void CTransport::Close()
  {
   if(m_router!=0)
      zmq_close(m_router);
   if(m_pub!=0)
      zmq_close(m_pub);
   m_router=0;
   m_pub=0;
   if(m_context!=0)
     {
      zmq_ctx_shutdown(m_context);
      zmq_ctx_term(m_context);
     }
   m_context=0;
  }

bool CTransport::HasMore()
  {
   uchar value[];
   ulong length=4;
   ArrayResize(value,4);
   return(zmq_getsockopt(m_router,ZMQ_RCVMORE,value,length)==0 && value[0]!=0);
  }

int CTransport::ReceivePart(uchar &part[],const int flags)
  {
   int size=zmq_recv(m_router,m_buffer,(ulong)ArraySize(m_buffer),flags);
   ArrayResize(part,0);
   if(size>0 && size<=ArraySize(m_buffer))
      ArrayCopy(part,m_buffer,0,0,size);
   return(size);
  }

//--- 1: a message of the right shape; 0: none; -1: something else, dropped.
//--- A message of many parts is drained in portions: it must not hold the EA.
int CTransport::Receive(const bool wait,uchar &peer[],uchar &body[],uchar &mac[])
  {
   uchar rest[];
   if(!m_draining)
     {
      if(ReceivePart(peer,wait ? 0 : ZMQ_DONTWAIT)<0)
         return(0);
      if(!HasMore() || ReceivePart(body,ZMQ_DONTWAIT)<0)
         return(-1);
      if(!HasMore() || ReceivePart(mac,ZMQ_DONTWAIT)<0)
         return(-1);
      if(!HasMore())
         return(1);
     }
   int parts=0;
   m_draining=true;
   while(m_draining && parts<MAX_PARTS)
     {
      parts++;
      if(ReceivePart(rest,ZMQ_DONTWAIT)<0 || !HasMore())
         m_draining=false;
     }
   return(-1);
  }

void CTransport::Reply(const uchar &peer[],const uchar &body[],const uchar &mac[])
  {
   if(zmq_send(m_router,peer,(ulong)ArraySize(peer),ZMQ_SNDMORE|ZMQ_DONTWAIT)<0)
      return;
   zmq_send(m_router,body,(ulong)ArraySize(body),ZMQ_SNDMORE|ZMQ_DONTWAIT);
   zmq_send(m_router,mac,(ulong)ArraySize(mac),ZMQ_DONTWAIT);
  }

void CTransport::Publish(const string topic,const uchar &body[],const uchar &mac[])
  {
   uchar name[];
   if(m_pub==0)
      return;
   BytesOf(topic,name);
   if(zmq_send(m_pub,name,(ulong)ArraySize(name),ZMQ_SNDMORE|ZMQ_DONTWAIT)<0)
      return;
   zmq_send(m_pub,body,(ulong)ArraySize(body),ZMQ_SNDMORE|ZMQ_DONTWAIT);
   zmq_send(m_pub,mac,(ulong)ArraySize(mac),ZMQ_DONTWAIT);
  }
#endif
//+------------------------------------------------------------------+
