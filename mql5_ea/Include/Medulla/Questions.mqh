//+------------------------------------------------------------------+
//| Questions.mqh - the questions without effect: EA_PROTOCOL.md,    |
//| section 5.                                                       |
//+------------------------------------------------------------------+
#ifndef MEDULLA_QUESTIONS_MQH
#define MEDULLA_QUESTIONS_MQH
#include <Medulla\Jobs.mqh>
#include <Medulla\Ticks.mqh>
#include <Medulla\TradeEvents.mqh>

#define MOST_DEALS 1000

//--- What is answered: members of `data`, or a refusal.
struct SAnswer
  {
   bool              good;
   string            code;
   string            message;
   string            data;
  };

class CQuestions
  {
private:
   void              Wrong(SAnswer &answer,const string code,const string message) const;
   bool              Symbols(const int args,string &symbols[],SAnswer &answer) const;
   void              Account(SAnswer &answer) const;
   void              SymbolOf(const int args,SAnswer &answer) const;
   void              Quotes(const int args,SAnswer &answer) const;
   void              History(const int args,SAnswer &answer) const;
   void              Snapshot(SAnswer &answer) const;
   void              Find(const SRequest &request,SAnswer &answer) const;
   void              Subscribe(const int args,SAnswer &answer) const;
   void              Unsubscribe(const int args,SAnswer &answer) const;
public:
   bool              Answer(const SRequest &request,SAnswer &answer) const;
   string            HeartbeatMembers() const;
  };

CQuestions g_questions;

void CQuestions::Wrong(SAnswer &answer,const string code,const string message) const
  {
   answer.good=false;
   answer.code=code;
   answer.message=message;
  }

//--- false: not a question
bool CQuestions::Answer(const SRequest &request,SAnswer &answer) const
  {
   answer.good=true;
   answer.code="";
   answer.message="";
   answer.data="";
   if(request.cmd=="account")
      Account(answer);
   else
      if(request.cmd=="symbol")
         SymbolOf(request.args,answer);
      else
         if(request.cmd=="quotes")
            Quotes(request.args,answer);
         else
            if(request.cmd=="positions")
               JsonPut(answer.data,"positions",PositionsJson());
            else
               if(request.cmd=="orders")
                  JsonPut(answer.data,"orders",OrdersJson());
               else
                  if(request.cmd=="history")
                     History(request.args,answer);
                  else
                     if(request.cmd=="snapshot")
                        Snapshot(answer);
                     else
                        if(request.cmd=="find")
                           Find(request,answer);
                        else
                           if(request.cmd=="subscribe")
                              Subscribe(request.args,answer);
                           else
                              if(request.cmd=="unsubscribe")
                                 Unsubscribe(request.args,answer);
                              else
                                 return(false);
   return(true);
  }

//--- `ping_us`: the terminal's last measured way to the broker and back, microseconds
string CQuestions::HeartbeatMembers() const
  {
   string members="";
   JsonPut(members,"permissions",PermissionsJson());
   JsonPut(members,"stopped",JsonBool(g_latch.IsStopped()));
   JsonPutWhole(members,"epoch",g_latch.Epoch());
   JsonPutWhole(members,"queue",g_jobs.Waiting());
   JsonPutWhole(members,"trade_seq",g_wire.Seq("trade"));
   JsonPut(members,"account",AccountJson());
   JsonPutWhole(members,"ping_us",TerminalInfoInteger(TERMINAL_PING_LAST));
   return(members);
  }

void CQuestions::Account(SAnswer &answer) const
  {
   string account=AccountJson();
   answer.data=StringSubstr(account,1,StringLen(account)-2);
   JsonPut(answer.data,"permissions",PermissionsJson());
  }

void CQuestions::SymbolOf(const int args,SAnswer &answer) const
  {
   int    node=g_request.Find(args,"symbol");
   string symbol=g_symbols.ToBroker(g_request.Text(node));
   if(!g_request.Is(node,JSON_TEXT))
      Wrong(answer,"INVALID_ARGS","symbol: must be a string");
   else
      if(symbol=="")
         Wrong(answer,"SYMBOL_UNKNOWN","the broker has no symbol "+StringSubstr(g_request.Text(node),0,40));
      else
        {
         string text=SymbolJson(symbol);
         answer.data=StringSubstr(text,1,StringLen(text)-2);
        }
  }

//--- the wire's names in `args`, all known to the broker
bool CQuestions::Symbols(const int args,string &symbols[],SAnswer &answer) const
  {
   int list=g_request.Find(args,"symbols");
   if(!g_request.Is(list,JSON_LIST))
     {
      Wrong(answer,"INVALID_ARGS","symbols: must be a list of symbols");
      return(false);
     }
   for(int node=g_request.First(list); node>=0; node=g_request.Next(node))
     {
      int count=ArraySize(symbols);
      if(!g_request.Is(node,JSON_TEXT))
        {
         Wrong(answer,"INVALID_ARGS","symbols: must be a list of symbols");
         return(false);
        }
      if(g_symbols.ToBroker(g_request.Text(node))=="" || count>=MAX_SUBSCRIPTIONS)
        {
         Wrong(answer,"SYMBOL_UNKNOWN","the broker has no symbol "+StringSubstr(g_request.Text(node),0,40));
         return(false);
        }
      ArrayResize(symbols,count+1,16);
      symbols[count]=g_request.Text(node);
     }
   return(true);
  }

void CQuestions::Quotes(const int args,SAnswer &answer) const
  {
   string symbols[];
   string items="";
   if(!Symbols(args,symbols,answer))
      return;
   for(int i=0; i<ArraySize(symbols); i++)
     {
      MqlTick tick={};
      string  symbol=g_symbols.ToBroker(symbols[i]);
      if(CurrentQuote(symbol,tick))
         JsonItem(items,QuoteJson(symbol,tick));
     }
   JsonPut(answer.data,"quotes",JsonList(items));
  }

void CQuestions::History(const int args,SAnswer &answer) const
  {
   long from=0;
   long to=0;
   if(!g_request.Whole(g_request.Find(args,"from"),from) || !g_request.Whole(g_request.Find(args,"to"),to) || from<0 || to<from)
     {
      Wrong(answer,"INVALID_ARGS","from, to: must be Unix milliseconds, from not after to");
      return;
     }
   if(!HistorySelect(ServerOfUtcMs(from),(datetime)((long)ServerOfUtcMs(MathMin(to,(long)4102444800000))+1)))
     {
      Wrong(answer,"NOT_CONNECTED","the history is not available at the moment");
      return;
     }
   string items="";
   int    count=0;
   bool   more=false;
   for(int i=0; i<HistoryDealsTotal(); i++)
     {
      ulong deal=HistoryDealGetTicket(i);
      long  time=UtcOfServerMs(HistoryDealGetInteger(deal,DEAL_TIME_MSC));
      if(deal==0 || !IsTradeDeal(deal) || time<from || time>to)
         continue;
      if(count>=MOST_DEALS)
        {
         more=true;
         break;
        }
      count++;
      JsonItem(items,DealJson(deal));
     }
   JsonPut(answer.data,"deals",JsonList(items));
   if(more)
      JsonPut(answer.data,"more","true");
  }

//--- symbols that are subscribed, held or waited for
void CQuestions::Snapshot(SAnswer &answer) const
  {
   string names[];
   string symbols="";
   string quotes="";
   g_trade_events.Pump(true);   // so that trade_seq names the last change that is in here
   int subscribed=g_ticks.Count();
   int candidates=subscribed+PositionsTotal()+OrdersTotal();
   for(int i=0; i<candidates; i++)
     {
      string name="";
      if(i<subscribed)
         name=g_ticks.BrokerName(i);
      else
         if(i<subscribed+PositionsTotal())
           {
            if(PositionGetTicket(i-subscribed)>0)
               name=PositionGetString(POSITION_SYMBOL);
           }
         else
            if(OrderGetTicket(i-subscribed-PositionsTotal())>0)
               name=OrderGetString(ORDER_SYMBOL);
      bool known=(name=="");
      for(int k=0; k<ArraySize(names); k++)
         known=known || names[k]==name;
      if(known)
         continue;
      int count=ArraySize(names);
      ArrayResize(names,count+1,32);
      names[count]=name;
      JsonItem(symbols,SymbolJson(name));
      MqlTick tick={};
      if(CurrentQuote(name,tick))
         JsonItem(quotes,QuoteJson(name,tick));
     }
   JsonPut(answer.data,"account",AccountJson());
   JsonPut(answer.data,"permissions",PermissionsJson());
   JsonPut(answer.data,"positions",PositionsJson());
   JsonPut(answer.data,"orders",OrdersJson());
   JsonPut(answer.data,"symbols",JsonList(symbols));
   JsonPut(answer.data,"quotes",JsonList(quotes));
   JsonPutWhole(answer.data,"time",UtcMs());
   JsonPutWhole(answer.data,"server_utc_offset",ServerOffset());
   JsonPutWhole(answer.data,"trade_seq",g_wire.Seq("trade"));
  }

//--- by tag, by ticket, or by symbol with magic; the executor decides what it proves
bool Carries(const string tag,const string comment,const bool by_marks,const bool by_ticket)
  {
   return(by_ticket || by_marks || (tag!="" && StringFind(comment,tag)>=0));
  }

void CQuestions::Find(const SRequest &request,SAnswer &answer) const
  {
   long   since=0;
   ulong  ticket=0;
   ulong  magic=0;
   string tag=g_request.Text(g_request.Find(request.args,"tag"));
   string symbol=g_symbols.ToBroker(g_request.Text(g_request.Find(request.args,"symbol")));
   int    ticket_node=g_request.Find(request.args,"ticket");
   int    magic_node=g_request.Find(request.args,"magic");
   bool   marked=(ParseUlong(g_request.Text(magic_node),magic) && symbol!="");
   if(!request.has_cid || !IsCommandId(request.cid))
      Wrong(answer,"INVALID_ARGS","cid: is required");
   if(!g_request.Whole(g_request.Find(request.args,"since"),since) || since<0)
      Wrong(answer,"INVALID_ARGS","since: must be Unix milliseconds");
   if(!g_request.IsAbsent(ticket_node) && !ParseUlong(g_request.Text(ticket_node),ticket))
      Wrong(answer,"INVALID_ARGS","ticket: must be a string of digits");
   if(!answer.good)
      return;
   int    entry=g_ledger.Find(request.cid);
   string ledger="never_seen";
   string code="";
   string execution="null";
   if(entry>=0)
      ledger=(g_recovery.LookUp(entry) && g_ledger.ReadResult(entry,code,execution) ? "result" : "sent");
   string positions="";
   string orders="";
   string deals="";
   for(int i=0; i<PositionsTotal(); i++)
     {
      ulong item=PositionGetTicket(i);
      bool  marks=(marked && PositionGetString(POSITION_SYMBOL)==symbol && (ulong)PositionGetInteger(POSITION_MAGIC)==magic);
      bool  named=(ticket>0 && (item==ticket || (ulong)PositionGetInteger(POSITION_IDENTIFIER)==ticket));
      if(item>0 && Carries(tag,PositionGetString(POSITION_COMMENT),marks,named))
         JsonItem(positions,PositionJson());
     }
   for(int i=0; i<OrdersTotal(); i++)
     {
      ulong item=OrderGetTicket(i);
      bool  marks=(marked && OrderGetString(ORDER_SYMBOL)==symbol && (ulong)OrderGetInteger(ORDER_MAGIC)==magic);
      if(item>0 && IsPendingKind((ENUM_ORDER_TYPE)OrderGetInteger(ORDER_TYPE)) &&
         Carries(tag,OrderGetString(ORDER_COMMENT),marks,ticket>0 && item==ticket))
         JsonItem(orders,OrderJson());
     }
   bool history=HistorySelect(ServerOfUtcMs(since),(datetime)((long)TimeTradeServer()+86400));
   int  found=0;
   for(int i=0; history && i<HistoryDealsTotal() && found<MOST_DEALS; i++)
     {
      ulong item=HistoryDealGetTicket(i);
      if(item==0 || !IsTradeDeal(item))
         continue;
      bool marks=(marked && HistoryDealGetString(item,DEAL_SYMBOL)==symbol && (ulong)HistoryDealGetInteger(item,DEAL_MAGIC)==magic);
      bool named=(ticket>0 && (item==ticket || (ulong)HistoryDealGetInteger(item,DEAL_ORDER)==ticket ||
                               (ulong)HistoryDealGetInteger(item,DEAL_POSITION_ID)==ticket));
      if(!Carries(tag,HistoryDealGetString(item,DEAL_COMMENT),marks,named))
         continue;
      found++;
      JsonItem(deals,DealJson(item));
     }
   JsonPutText(answer.data,"ledger",ledger);
   JsonPut(answer.data,"execution",ledger=="result" ? execution : "null");
   JsonPut(answer.data,"sent_at",entry>=0 ? IntegerToString(g_ledger.SentMs(entry)) : "null");
   JsonPut(answer.data,"connected",JsonBool(IsConnected()));
   JsonPut(answer.data,"synchronised",JsonBool(IsSynchronised() && history));
   JsonPut(answer.data,"positions",JsonList(positions));
   JsonPut(answer.data,"orders",JsonList(orders));
   JsonPut(answer.data,"deals",JsonList(deals));
  }

void CQuestions::Subscribe(const int args,SAnswer &answer) const
  {
   string symbols[];
   long   interval=0;
   bool   lossless=g_request.Is(g_request.Find(args,"lossless"),JSON_TRUE);
   if(!g_request.Whole(g_request.Find(args,"min_interval"),interval) || interval<0 || interval>3600000)
     {
      Wrong(answer,"INVALID_ARGS","min_interval: must be a whole number of milliseconds from 0 to 3600000");
      return;
     }
   if(!Symbols(args,symbols,answer))
      return;
   for(int i=0; i<ArraySize(symbols); i++)
      g_ticks.Subscribe(symbols[i],interval,lossless);
   JsonPut(answer.data,"symbols",g_ticks.NamesJson());
  }

void CQuestions::Unsubscribe(const int args,SAnswer &answer) const
  {
   int list=g_request.Find(args,"symbols");
   if(!g_request.Is(list,JSON_LIST))
      Wrong(answer,"INVALID_ARGS","symbols: must be a list of symbols");
   for(int node=g_request.First(list); node>=0; node=g_request.Next(node))
      g_ticks.Unsubscribe(g_request.Text(node));
   JsonPut(answer.data,"symbols",g_ticks.NamesJson());
  }
#endif
//+------------------------------------------------------------------+
