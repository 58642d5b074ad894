//+------------------------------------------------------------------+
//| Ticks.mqh - the tick stream: conflated to an interval, or every  |
//| tick through CopyTicks. EA_PROTOCOL.md, sections 5 and 8.        |
//+------------------------------------------------------------------+
#ifndef MEDULLA_TICKS_MQH
#define MEDULLA_TICKS_MQH
#include <Medulla\Objects.mqh>
#include <Medulla\Wire.mqh>

#define MAX_SUBSCRIPTIONS 256
#define MAX_TICKS_A_TURN  256

struct SSubscription
  {
   string            wire;
   string            symbol;
   long              min_interval;    // ms
   bool              lossless;
   long              last_msc;        // server time of the last tick that was sent
   int               same_msc;        // ticks of that millisecond already sent
   double            last_bid;
   double            last_ask;
   long              sent_at;         // monotonic ms
  };

class CTicks
  {
private:
   SSubscription     m_items[];
   int               Find(const string wire) const;
   void              Send(const int i,const MqlTick &tick);
   void              PumpConflated(const int i);
   void              PumpLossless(const int i);
public:
   bool              Subscribe(const string wire,const long min_interval,const bool lossless);
   void              Unsubscribe(const string wire);
   int               Count() const { return(ArraySize(m_items)); }
   void              Clear() { ArrayResize(m_items,0); }
   string            NamesJson() const;
   string            BrokerName(const int i) const { return(m_items[i].symbol); }
   void              Pump();
  };

CTicks g_ticks;

int CTicks::Find(const string wire) const
  {
   for(int i=0; i<ArraySize(m_items); i++)
      if(m_items[i].wire==wire)
         return(i);
   return(-1);
  }

bool CTicks::Subscribe(const string wire,const long min_interval,const bool lossless)
  {
   string symbol=g_symbols.ToBroker(wire);
   int    i=Find(wire);
   if(symbol=="" || (i<0 && ArraySize(m_items)>=MAX_SUBSCRIPTIONS))
      return(false);
   if(i<0)
     {
      i=ArraySize(m_items);
      ArrayResize(m_items,i+1,16);
      m_items[i].last_msc=0;
      m_items[i].same_msc=0;
     }
   m_items[i].last_bid=0.0;   // one tick at once, whatever was sent before
   m_items[i].last_ask=0.0;
   m_items[i].sent_at=MonotonicMs()-min_interval;
   m_items[i].wire=wire;
   m_items[i].symbol=symbol;
   m_items[i].min_interval=min_interval;
   m_items[i].lossless=lossless;
   return(true);
  }

void CTicks::Unsubscribe(const string wire)
  {
   int i=Find(wire);
   if(i<0)
      return;
   int last=ArraySize(m_items)-1;
   for(int k=i; k<last; k++)
      m_items[k]=m_items[k+1];
   ArrayResize(m_items,last);
  }

string CTicks::NamesJson() const
  {
   string items="";
   for(int i=0; i<ArraySize(m_items); i++)
      JsonItem(items,JsonText(m_items[i].wire));
   return(JsonList(items));
  }

void CTicks::Send(const int i,const MqlTick &tick)
  {
   g_wire.Publish("tick","tick."+m_items[i].wire,QuoteJson(m_items[i].symbol,tick));
  }

void CTicks::PumpConflated(const int i)
  {
   MqlTick tick={};
   if(MonotonicMs()-m_items[i].sent_at<m_items[i].min_interval || !CurrentQuote(m_items[i].symbol,tick))
      return;
   bool same=(tick.time_msc==m_items[i].last_msc && tick.bid==m_items[i].last_bid && tick.ask==m_items[i].last_ask);
   if(same)
      return;
   m_items[i].last_msc=tick.time_msc;
   m_items[i].last_bid=tick.bid;
   m_items[i].last_ask=tick.ask;
   m_items[i].sent_at=MonotonicMs();
   Send(i,tick);
  }

//--- asked again from the last millisecond on: another tick of that same millisecond may have come since
void CTicks::PumpLossless(const int i)
  {
   MqlTick ticks[];
   MqlTick last={};
   if(m_items[i].last_msc==0)
     {
      if(!CurrentQuote(m_items[i].symbol,last))
         return;
      m_items[i].last_msc=last.time_msc;
      m_items[i].same_msc=CopyTicks(m_items[i].symbol,ticks,COPY_TICKS_ALL,(ulong)last.time_msc,0);
      Send(i,last);
      return;
     }
   int count=CopyTicks(m_items[i].symbol,ticks,COPY_TICKS_ALL,(ulong)m_items[i].last_msc,
                       (uint)(m_items[i].same_msc+MAX_TICKS_A_TURN));
   for(int k=m_items[i].same_msc; k<count; k++)
     {
      if(ticks[k].time_msc!=m_items[i].last_msc)
        {
         m_items[i].last_msc=ticks[k].time_msc;
         m_items[i].same_msc=0;
        }
      m_items[i].same_msc++;
      Send(i,ticks[k]);
     }
  }

//--- without a connection prices are old
void CTicks::Pump()
  {
   if(!IsConnected())
      return;
   for(int i=0; i<ArraySize(m_items); i++)
      if(m_items[i].lossless)
         PumpLossless(i);
      else
         PumpConflated(i);
  }
#endif
//+------------------------------------------------------------------+
