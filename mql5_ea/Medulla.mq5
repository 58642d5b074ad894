//+------------------------------------------------------------------+
//| Medulla.mq5 - the executor's hand in the terminal, as a ZeroMQ   |
//| server: needs libzmq.dll and "Allow DLL imports". The same EA    |
//| without a DLL: MedullaNoDll.mq5.                                 |
//+------------------------------------------------------------------+
#property copyright "Medulla"
#property version   "0.10"
#property description "Executes signed commands of the Medulla executor on this machine, once, and stops."
#include <Medulla\TransportZmq.mqh>
#include <Medulla\Core.mqh>
//+------------------------------------------------------------------+
