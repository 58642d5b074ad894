//+------------------------------------------------------------------+
//| Jobs.mqh - what takes more than one request to the broker:       |
//| close_all, and what a stop asks for. One part a turn, so that a  |
//| stop frame never waits behind more than one OrderSend.           |
//+------------------------------------------------------------------+
#ifndef MEDULLA_JOBS_MQH
#define MEDULLA_JOBS_MQH
#include <Medulla\Trader.mqh>
#include <Medulla\Recovery.mqh>

#define MAX_JOBS 32

struct SJob
  {
   int               number;
   bool              is_stop;
   SMandate          mandate;
   string            peer;            // hex
   SRequest          request;
   STrade            terms;           // of close_all: deviation, tag, attempts
   SExecution        sum;
   int               done;
   int               not_done;
   int               unknown;
   bool              begun;           // the broker was asked at least once
  };

struct SJobPart
  {
   int               job;
   ulong             ticket;
   bool              is_order;
  };

class CJobs
  {
private:
   SJob              m_jobs[];
   SJobPart          m_parts[];
   int               m_number;
   int               FindJob(const int number) const;
   void              RemoveJob(const int job);
   void              AddPart(const int job,const ulong ticket,const bool is_order);
   void              RunPart(const int job,const SJobPart &part);
   void              RunStopPart(const SJobPart &part);
   void              Finish(const int job);
   string            StopCid(const ulong ticket) const;
public:
                     CJobs() { m_number=0; }
   void              CloseAll(const uchar &peer[],const SRequest &request,const SMandate &mandate,const STrade &terms,
                              const string symbol,const bool any_magic,const bool one_magic,const ulong magic);
   void              StopActions(const bool cancel_orders,const bool close_positions);
   bool              IsFull() const { return(ArraySize(m_jobs)>=MAX_JOBS); }
   bool              Holds(const string cid) const;
   int               Waiting() const { return(ArraySize(m_parts)); }
   void              Clear() { ArrayResize(m_jobs,0); ArrayResize(m_parts,0); }
   void              Pump();
  };

CJobs g_jobs;

int CJobs::FindJob(const int number) const
  {
   for(int i=0; i<ArraySize(m_jobs); i++)
      if(m_jobs[i].number==number)
         return(i);
   return(-1);
  }

void CJobs::RemoveJob(const int job)
  {
   int last=ArraySize(m_jobs)-1;
   for(int i=job; i<last; i++)
      m_jobs[i]=m_jobs[i+1];
   ArrayResize(m_jobs,last);
  }

bool CJobs::Holds(const string cid) const
  {
   for(int i=0; i<ArraySize(m_jobs); i++)
      if(!m_jobs[i].is_stop && m_jobs[i].request.cid==cid)
         return(true);
   return(false);
  }

void CJobs::AddPart(const int job,const ulong ticket,const bool is_order)
  {
   int count=ArraySize(m_parts);
   ArrayResize(m_parts,count+1,64);
   m_parts[count].job=m_jobs[job].number;
   m_parts[count].ticket=ticket;
   m_parts[count].is_order=is_order;
  }

//--- the reply comes when the last part is through
void CJobs::CloseAll(const uchar &peer[],const SRequest &request,const SMandate &mandate,const STrade &terms,
                     const string symbol,const bool any_magic,const bool one_magic,const ulong magic)
  {
   int job=ArraySize(m_jobs);
   ArrayResize(m_jobs,job+1,8);
   m_number++;
   m_jobs[job].number=m_number;
   m_jobs[job].is_stop=false;
   m_jobs[job].mandate=mandate;
   m_jobs[job].peer=HexOf(peer);
   m_jobs[job].request=request;
   m_jobs[job].terms=terms;
   m_jobs[job].done=0;
   m_jobs[job].not_done=0;
   m_jobs[job].unknown=0;
   m_jobs[job].begun=false;
   ClearExecution(m_jobs[job].sum);
   m_jobs[job].sum.has_details=true;
   for(int i=0; i<PositionsTotal(); i++)
     {
      ulong ticket=PositionGetTicket(i);
      if(ticket==0 || (symbol!="" && PositionGetString(POSITION_SYMBOL)!=symbol))
         continue;
      ulong own=(ulong)PositionGetInteger(POSITION_MAGIC);
      if((one_magic && own!=magic) || (!any_magic && !g_gate.IsOwn(own)))
         continue;
      AddPart(job,ticket,false);
     }
   if(ArraySize(m_parts)==0 || m_parts[ArraySize(m_parts)-1].job!=m_number)
     {
      g_trader.Intend(request.cid,request.hash,"close_all",terms);
      m_jobs[job].begun=true;
      Finish(job);
     }
  }

//--- orders first: a position closed first could be opened again by its own pending order. These come before everything else.
void CJobs::StopActions(const bool cancel_orders,const bool close_positions)
  {
   SJobPart waiting[];
   int kept=ArraySize(m_parts);
   ArrayResize(waiting,kept);
   for(int i=0; i<kept; i++)
      waiting[i]=m_parts[i];
   ArrayResize(m_parts,0);
   int job=ArraySize(m_jobs);
   ArrayResize(m_jobs,job+1,8);
   m_number++;
   m_jobs[job].number=m_number;
   m_jobs[job].is_stop=true;
   for(int i=0; cancel_orders && i<OrdersTotal(); i++)
     {
      ulong ticket=OrderGetTicket(i);
      if(ticket>0 && IsPendingKind((ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE)) && g_gate.IsOwn((ulong)OrderGetInteger(ORDER_MAGIC)))
         AddPart(job,ticket,true);
     }
   for(int i=0; close_positions && i<PositionsTotal(); i++)
     {
      ulong ticket=PositionGetTicket(i);
      if(ticket>0 && g_gate.IsOwn((ulong)PositionGetInteger(POSITION_MAGIC)))
         AddPart(job,ticket,false);
     }
   if(ArraySize(m_parts)==0)
      ArrayResize(m_jobs,job);
   int first=ArraySize(m_parts);
   ArrayResize(m_parts,first+kept,64);
   for(int i=0; i<kept; i++)
      m_parts[first+i]=waiting[i];
  }

void CJobs::Pump()
  {
   if(ArraySize(m_parts)==0)
      return;
   SJobPart part=m_parts[0];
   ArrayRemove(m_parts,0,1);
   int job=FindJob(part.job);
   if(m_jobs[job].is_stop)
      RunStopPart(part);
   else
      RunPart(job,part);
   for(int i=0; i<ArraySize(m_parts); i++)
      if(m_parts[i].job==part.job)
         return;
   if(m_jobs[job].is_stop)
      RemoveJob(job);
   else
      Finish(job);
  }

void CJobs::RunPart(const int job,const SJobPart &part)
  {
   SExecution execution={};
   STrade     trade={};
   ClearExecution(execution);
   ClearTrade(trade,"close");
   trade.deviation=m_jobs[job].terms.deviation;
   trade.tag=m_jobs[job].terms.tag;
   trade.comment=trade.tag;
   trade.max_attempts=m_jobs[job].terms.max_attempts;
   if(g_orders.SelectPosition(part.ticket,true,trade,execution))
     {
      trade.volume=PositionGetDouble(POSITION_VOLUME);
      trade.is_part=true;
      // the ledger knows the whole by its cid; its parts are told by their tickets
      if(g_trader.CarryOut(m_jobs[job].mandate,m_jobs[job].request.cid,m_jobs[job].request.hash,trade,execution))
         m_jobs[job].begun=true;
     }
   execution.ticket=part.ticket;
   m_jobs[job].sum.volume+=execution.volume;
   m_jobs[job].sum.requested+=execution.requested;
   m_jobs[job].sum.attempts+=execution.attempts;
   if(execution.state=="done")
      m_jobs[job].done++;
   else
      if(execution.state=="unknown")
         m_jobs[job].unknown++;
      else
        {
         m_jobs[job].not_done++;
         if(execution.state=="partial")
            m_jobs[job].done++;
         if(!m_jobs[job].begun)
            Refuse(m_jobs[job].sum,execution.code,execution.message);
        }
   JsonItem(m_jobs[job].sum.details,JsonObject(ExecutionMembers(execution,false)));
  }

//--- done if all are, unknown if any is, else partial if any was done, else rejected
void CJobs::Finish(const int job)
  {
   SJob ended=m_jobs[job];
   uchar peer[];
   RemoveJob(job);
   if(ended.unknown>0)
      ended.sum.state="unknown";
   else
      if(ended.not_done==0)
         ended.sum.state="done";
      else
         if(ended.done>0)
            ended.sum.state="partial";
         else
            if(ended.begun)
               ended.sum.state="rejected";
   if(ended.begun)
      g_trader.Conclude(ended.request.cid,ended.sum);
   if(ended.unknown>0)
      g_recovery.Hurry();
   bool refused=(ended.sum.state=="refused");
   BytesOfHex(ended.peer,peer);
   g_wire.Reply(peer,ended.request,!refused,refused ? ended.sum.code : "",refused ? ended.sum.message : "",
                ExecutionMembers(ended.sum,false));
  }

//--- "" when an earlier attempt on this ticket has no result: it may have been done, and is not sent again
string CJobs::StopCid(const ulong ticket) const
  {
   for(int n=0; n<1000; n++)
     {
      string cid=StringFormat("stop:%I64d:%I64u:%d",g_latch.LatchedAt(),ticket,n);
      int entry=g_ledger.Find(cid);
      if(entry<0)
         return(cid);
      if(!g_ledger.HasResult(entry))
         return("");
     }
   return("");
  }

//--- what became of it arrives as trade events; a refusal is printed
void CJobs::RunStopPart(const SJobPart &part)
  {
   SExecution execution={};
   STrade     trade={};
   SMandate   mandate={};
   mandate.by_stop=true;
   ClearExecution(execution);
   ClearTrade(trade,part.is_order ? "cancel" : "close");
   bool found=(part.is_order ? g_orders.SelectOrder(part.ticket,true,trade,execution)
               : g_orders.SelectPosition(part.ticket,true,trade,execution));
   if(!found)
      return;
   if(!part.is_order)
      trade.volume=PositionGetDouble(POSITION_VOLUME);
   trade.deviation=1000;
   trade.max_attempts=3;
   trade.tag="";
   trade.comment="stop";
   string cid=StopCid(part.ticket);
   if(cid=="")
      return;
   g_trader.CarryOut(mandate,cid,"",trade,execution);
   if(execution.state!="done")
      Print("Medulla: the stop asked for ",trade.cmd," of ",TicketText(part.ticket),": ",execution.state,", ",execution.message);
  }
#endif
//+------------------------------------------------------------------+
