// Declarations of the MQL5 functions that the Expert Advisor uses, as the reference gives them (string parameters by value there).
#pragma once
#include <cmath>
#include <type_traits>
#include <vector>
#include "mql_array.h"
#include "mql_structs.h"

namespace mql {

// --- formatting and printing: strict about specifier and argument, because MQL5 prints rubbish instead of complaining
struct FormatArgument {
  enum Kind { Text, Real, Signed32, Unsigned32, Signed64, Unsigned64, Boolean } kind;
  long whole = 0;
  double real = 0;
  string text;

  template <class I, class = std::enable_if_t<std::is_integral_v<I> || std::is_enum_v<I>>>
  FormatArgument(I value)
      : kind(std::is_same_v<I, bool> ? Boolean
             : sizeof(I) == 8        ? (std::is_unsigned_v<I> ? Unsigned64 : Signed64)
                                     : (std::is_unsigned_v<I> ? Unsigned32 : Signed32)),
        whole(static_cast<long>(value)) {}
  FormatArgument(double value) : kind(Real), real(value) {}
  FormatArgument(const string &value) : kind(Text), text(value) {}
};
string format_text(const string &format, const std::vector<FormatArgument> &arguments);
void print_line(const std::vector<FormatArgument> &arguments);
template <class... A> string StringFormat(const string &format, const A &...rest) {
  return format_text(format, {FormatArgument(rest)...});
}
template <class... A> void PrintFormat(const string &format, const A &...rest) {
  print_line({FormatArgument(format_text(format, {FormatArgument(rest)...}))});
}
template <class... A> void Print(const A &...values) { print_line({FormatArgument(values)...}); }
template <class... A> void Alert(const A &...values) { print_line({FormatArgument(values)...}); }

// --- strings and conversions
int StringLen(const string &text);
ushort StringGetCharacter(const string &text, int position);
string ShortToString(ushort unit);
string StringSubstr(const string &text, int start, int length = -1);
int StringFind(const string &text, const string &match, int start = 0);
int StringReplace(string &text, const string &find, const string &replacement);
int StringSplit(const string &text, ushort separator, Array<string> &result);
int StringTrimLeft(string &text);
int StringTrimRight(string &text);
bool StringToUpper(string &text);
bool StringToLower(string &text);
string IntegerToString(long number, int length = 0, ushort fill = ' ');
string DoubleToString(double value, int digits = 8);
double StringToDouble(const string &text);
long StringToInteger(const string &text);
int StringToCharArray(const string &text, Array<uchar> &array, int start = 0, int count = -1, uint codepage = CP_ACP);
string CharArrayToString(const Array<uchar> &array, int start = 0, int count = -1, uint codepage = CP_ACP);
string TimeToString(datetime value, int mode = TIME_DATE | TIME_MINUTES);
bool TimeToStruct(datetime value, MqlDateTime &parts);
double NormalizeDouble(double value, int digits);
inline double MathAbs(double value) { return std::fabs(value); }
inline double MathRound(double value) { return std::round(value); }
inline double MathFloor(double value) { return std::floor(value); }
inline double MathLog10(double value) { return std::log10(value); }
inline double MathPow(double base, double exponent) { return std::pow(base, exponent); }
inline bool MathIsValidNumber(double value) { return std::isfinite(value); }
template <class T> T MathMin(T left, T right) { return left < right ? left : right; }
template <class T> T MathMax(T left, T right) { return left > right ? left : right; }
int MathRand();
void MathSrand(int seed);
int CryptEncode(ENUM_CRYPT_METHOD method, const Array<uchar> &data, const Array<uchar> &key, Array<uchar> &result);

// --- time and events
uint GetTickCount();
ulong GetTickCount64();
ulong GetMicrosecondCount();
void Sleep(int milliseconds);
datetime TimeCurrent();
datetime TimeLocal();
datetime TimeGMT();
datetime TimeTradeServer();
bool EventSetMillisecondTimer(int milliseconds);
void EventKillTimer();
void ExpertRemove();
bool IsStopped();
int GetLastError();
void ResetLastError();

// --- the terminal, the account, the chart
long TerminalInfoInteger(ENUM_TERMINAL_INFO_INTEGER property);
string TerminalInfoString(ENUM_TERMINAL_INFO_STRING property);
long MQLInfoInteger(ENUM_MQL_INFO_INTEGER property);
string MQLInfoString(ENUM_MQL_INFO_STRING property);
long AccountInfoInteger(ENUM_ACCOUNT_INFO_INTEGER property);
double AccountInfoDouble(ENUM_ACCOUNT_INFO_DOUBLE property);
string AccountInfoString(ENUM_ACCOUNT_INFO_STRING property);
string Symbol();
long ChartID();
void ChartRedraw(long chart = 0);
bool ObjectCreate(long chart, const string &name, ENUM_OBJECT type, int window, datetime time, double price);
int ObjectFind(long chart, const string &name);
bool ObjectDelete(long chart, const string &name);
int ObjectsDeleteAll(long chart, const string &prefix, int window = -1, int type = -1);
bool ObjectSetInteger(long chart, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property, long value);
bool ObjectSetString(long chart, const string &name, ENUM_OBJECT_PROPERTY_STRING property, const string &value);
long ObjectGetInteger(long chart, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property);
string ObjectGetString(long chart, const string &name, ENUM_OBJECT_PROPERTY_STRING property);

// --- symbols and trading
bool SymbolExist(const string &symbol, bool &is_custom);
bool SymbolSelect(const string &symbol, bool select);
bool SymbolIsSynchronized(const string &symbol);
bool SymbolInfoTick(const string &symbol, MqlTick &tick);
long SymbolInfoInteger(const string &symbol, ENUM_SYMBOL_INFO_INTEGER property);
double SymbolInfoDouble(const string &symbol, ENUM_SYMBOL_INFO_DOUBLE property);
string SymbolInfoString(const string &symbol, ENUM_SYMBOL_INFO_STRING property);
bool SymbolInfoSessionTrade(const string &symbol, ENUM_DAY_OF_WEEK day, uint index, datetime &from, datetime &to);
int CopyTicks(const string &symbol, Array<MqlTick> &ticks, uint flags = COPY_TICKS_ALL, ulong from = 0, uint count = 0);
bool OrderSend(MqlTradeRequest &request, MqlTradeResult &result);
bool OrderCalcMargin(ENUM_ORDER_TYPE action, const string &symbol, double volume, double price, double &margin);
int PositionsTotal();
ulong PositionGetTicket(int index);
bool PositionSelectByTicket(ulong ticket);
long PositionGetInteger(ENUM_POSITION_PROPERTY_INTEGER property);
double PositionGetDouble(ENUM_POSITION_PROPERTY_DOUBLE property);
string PositionGetString(ENUM_POSITION_PROPERTY_STRING property);
int OrdersTotal();
ulong OrderGetTicket(int index);
bool OrderSelect(ulong ticket);
long OrderGetInteger(ENUM_ORDER_PROPERTY_INTEGER property);
double OrderGetDouble(ENUM_ORDER_PROPERTY_DOUBLE property);
string OrderGetString(ENUM_ORDER_PROPERTY_STRING property);
bool HistorySelect(datetime from, datetime to);
int HistoryDealsTotal();
ulong HistoryDealGetTicket(int index);
bool HistoryDealSelect(ulong ticket);
long HistoryDealGetInteger(ulong ticket, ENUM_DEAL_PROPERTY_INTEGER property);
double HistoryDealGetDouble(ulong ticket, ENUM_DEAL_PROPERTY_DOUBLE property);
string HistoryDealGetString(ulong ticket, ENUM_DEAL_PROPERTY_STRING property);
int HistoryOrdersTotal();
ulong HistoryOrderGetTicket(int index);
bool HistoryOrderSelect(ulong ticket);
long HistoryOrderGetInteger(ulong ticket, ENUM_ORDER_PROPERTY_INTEGER property);
double HistoryOrderGetDouble(ulong ticket, ENUM_ORDER_PROPERTY_DOUBLE property);
string HistoryOrderGetString(ulong ticket, ENUM_ORDER_PROPERTY_STRING property);

// --- files and sockets
int FileOpen(const string &name, int flags, short delimiter = '\t', uint codepage = CP_ACP);
void FileClose(int handle);
void FileFlush(int handle);
bool FileIsExist(const string &name, int common = 0);
bool FileDelete(const string &name, int common = 0);
bool FileMove(const string &from, int common, const string &to, int mode);
bool FileSeek(int handle, long offset, ENUM_FILE_POSITION origin);
ulong FileSize(int handle);
uint FileReadArray(int handle, Array<uchar> &array, int start = 0, int count = WHOLE_ARRAY);
uint FileWriteArray(int handle, const Array<uchar> &array, int start = 0, int count = WHOLE_ARRAY);
int SocketCreate(uint flags = 0);
bool SocketClose(int socket);
bool SocketConnect(int socket, const string &server, uint port, uint timeout);
bool SocketIsConnected(int socket);
uint SocketIsReadable(int socket);
int SocketRead(int socket, Array<uchar> &buffer, uint length, uint timeout);
int SocketSend(int socket, const Array<uchar> &buffer, uint length);

} // namespace mql
