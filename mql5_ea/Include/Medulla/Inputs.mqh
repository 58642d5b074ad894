//+------------------------------------------------------------------+
//| Inputs.mqh - what a trader can set. Each is explained in         |
//| mql5_ea/README.md. 0 or empty always means "no such limit".      |
//+------------------------------------------------------------------+
#ifndef MEDULLA_INPUTS_MQH
#define MEDULLA_INPUTS_MQH

enum EMode
  {
   MODE_READ_ONLY=0,   // Read only: no trade at all
   MODE_DEMO_ONLY=1,   // Demo and contest accounts only
   MODE_FULL=2         // Real accounts too
  };

input group "Connection"
input string InpHost="127.0.0.1";                // Address of this machine (127.x.x.x)
input int    InpCommandPort=5555;                // Command port
input int    InpStreamPort=5556;                 // Stream port; without DLL: the executor's stop port
input string InpKeyFile="Medulla\\key.txt";      // Key file in MQL5\Files
input bool   InpKeyInCommon=false;               // Key file in the common folder of all terminals

input group "What the EA may do"
input EMode  InpMode=MODE_DEMO_ONLY;             // Mode
input string InpLogins="";                       // Accounts allowed, with commas (empty: any)
input string InpOwnMagics="";                    // Magics that are the executor's, e.g. 1000-1999,7
input bool   InpTouchForeign=false;              // Touch positions and orders of others too
input string InpStopFile="Medulla\\STOP";        // While this file exists, everything is stopped
input bool   InpStopOnSilence=false;             // Latch the stop when the executor falls silent

input group "Hard limits"
input double InpMaxVolumePerOrder=10.0;          // Lots an order
input double InpMaxVolumePerSymbol=0.0;          // Lots open and pending on a symbol
input double InpMaxVolumeTotal=0.0;              // Lots open and pending in all
input int    InpMaxPositions=0;                  // Positions open
input int    InpMaxOrdersPerMinute=200;          // New trades a minute
input string InpAllowedSymbols="";               // Symbols allowed, with commas
input int    InpMaxSpreadPoints=0;               // Spread, points
input bool   InpRequireStopLoss=false;           // Refuse trades without a stop loss
input double InpMaxDailyLoss=0.0;                // Loss since the broker's midnight, account currency

input group "Symbol names"
input string InpSymbolPrefix="";                 // Broker's prefix
input string InpSymbolSuffix="";                 // Broker's suffix, e.g. .a
input string InpSymbolMap="";                    // Others, e.g. GOLD=XAUUSD.m,US30=DJ30

input group "Diagnosis"
input bool   InpSelfTest=false;                  // Test the EA's inner parts, print PASS or FAIL
#endif
//+------------------------------------------------------------------+
