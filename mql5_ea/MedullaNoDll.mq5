//+------------------------------------------------------------------+
//| MedullaNoDll.mq5 - the executor's hand in the terminal, without  |
//| any DLL: connects to the executor through MQL5's own sockets.    |
//| Needs 127.0.0.1 on the terminal's list of allowed addresses.     |
//+------------------------------------------------------------------+
#property copyright "Medulla"
#property version   "0.10"
#property description "Executes signed commands of the Medulla executor on this machine, once, and stops."
#include <Medulla\TransportZmtp.mqh>
#include <Medulla\Core.mqh>
//+------------------------------------------------------------------+
