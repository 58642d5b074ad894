//+------------------------------------------------------------------+
//| Panel.mqh - what a trader sees on the chart, and the STOP button |
//| that latches the EA by itself, with or without an executor.      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_PANEL_MQH
#define MEDULLA_PANEL_MQH
#include <Medulla\Commands.mqh>

#define PANEL_PREFIX "Medulla."
#define PANEL_BUTTON "Medulla.STOP"
#define PANEL_LINES  6

class CPanel
  {
private:
   long              m_drawn_at;      // monotonic ms
   void              Line(const int number,const string text,const color ink) const;
   string            LinkText() const;
public:
                     CPanel() { m_drawn_at=-1000; }
   void              Create() const;
   void              Remove() const { ObjectsDeleteAll(0,PANEL_PREFIX); }
   void              Draw(const string problem);
   bool              IsStopButton(const string name) const { return(name==PANEL_BUTTON); }
   void              ReleaseButton() const { ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_STATE,0); }
  };

CPanel g_panel;

void CPanel::Create() const
  {
   ObjectCreate(0,PANEL_BUTTON,OBJ_BUTTON,0,0,0.0);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_CORNER,(long)CORNER_LEFT_UPPER);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_XDISTANCE,12);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_YDISTANCE,140);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_XSIZE,220);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_YSIZE,44);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_BGCOLOR,(long)clrFireBrick);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_COLOR,(long)clrWhite);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_FONTSIZE,14);
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_ZORDER,1);
   ObjectSetString(0,PANEL_BUTTON,OBJPROP_TEXT,"STOP");
   ObjectSetString(0,PANEL_BUTTON,OBJPROP_TOOLTIP,"Stops all trading of Medulla at once. Only a reset in the executor ends it.");
   for(int i=0; i<PANEL_LINES; i++)
      Line(i,"",clrSilver);
  }

void CPanel::Line(const int number,const string text,const color ink) const
  {
   string name=StringFormat("%sline%d",PANEL_PREFIX,number);
   if(ObjectFind(0,name)<0)
     {
      ObjectCreate(0,name,OBJ_LABEL,0,0,0.0);
      ObjectSetInteger(0,name,OBJPROP_CORNER,(long)CORNER_LEFT_UPPER);
      ObjectSetInteger(0,name,OBJPROP_XDISTANCE,12);
      ObjectSetInteger(0,name,OBJPROP_YDISTANCE,24+18*number);
      ObjectSetInteger(0,name,OBJPROP_SELECTABLE,0);
      ObjectSetString(0,name,OBJPROP_FONT,"Consolas");
     }
   ObjectSetString(0,name,OBJPROP_TEXT,text=="" ? " " : text);
   ObjectSetInteger(0,name,OBJPROP_COLOR,(long)ink);
  }

string CPanel::LinkText() const
  {
   int session=g_sessions.Command();
   if(session<0)
      return("no executor");
   return(g_sessions.IsSilent(session) ? "executor silent" : "executor connected");
  }

//--- once a second
void CPanel::Draw(const string problem)
  {
   if(MonotonicMs()-m_drawn_at<1000)
      return;
   m_drawn_at=MonotonicMs();
   string mode=(InpMode==MODE_FULL ? "FULL" : (InpMode==MODE_DEMO_ONLY ? "demo only" : "read only"));
   string missing=(IsConnected() ? MissingPermissions() : "broker connection");
   Line(0,"Medulla "+MEDULLA_VERSION+"  "+mode+"  account "+IntegerToString(CurrentLogin()),clrSilver);
   Line(1,problem=="" ? LinkText() : problem,problem=="" ? clrLimeGreen : clrGold);
   Line(2,StringFormat("positions %d  orders %d  equity %s",PositionsTotal(),OrdersTotal(),MoneyText(AccountInfoDouble(ACCOUNT_EQUITY))),clrSilver);
   Line(3,"last: "+(g_commands.Last()=="" ? "-" : g_commands.Last()),clrSilver);
   Line(4,missing=="" ? "trading is permitted" : "missing: "+missing,missing=="" ? clrSilver : clrGold);
   Line(5,g_latch.IsStopped() ? "STOPPED: "+g_latch.Reason() : "",clrRed);
   ObjectSetString(0,PANEL_BUTTON,OBJPROP_TEXT,g_latch.IsStopped() ? "STOPPED" : "STOP");
   ObjectSetInteger(0,PANEL_BUTTON,OBJPROP_BGCOLOR,(long)(g_latch.IsStopped() ? clrGray : clrFireBrick));
   ChartRedraw(0);
  }
#endif
//+------------------------------------------------------------------+
