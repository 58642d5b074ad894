// The MQL5 functions that read the broker: account, symbols, positions, orders, history, ticks; and OrderSend itself.
#include <algorithm>
#include "broker.h"

namespace mql {

using bench::broker;

namespace {
bench::Position selected_position;
bench::Order selected_order;
std::vector<uint64_t> selected_deals, selected_history;

const bench::Instrument *instrument(const string &symbol) {
  auto found = broker().instruments.find(to_utf8(symbol));
  return found == broker().instruments.end() ? nullptr : &found->second;
}
const bench::Deal *deal(ulong ticket) {
  for (const bench::Deal &candidate : broker().deals)
    if (candidate.ticket == ticket) return &candidate;
  return nullptr;
}
const bench::Order *historic(ulong ticket) {
  for (const bench::Order &candidate : broker().order_history)
    if (candidate.ticket == ticket) return &candidate;
  return nullptr;
}
} // namespace

bool OrderSend(MqlTradeRequest &request, MqlTradeResult &result) {
  result = MqlTradeResult{};
  uint code = broker().send(request, result);
  return code == TRADE_RETCODE_DONE || code == TRADE_RETCODE_PLACED || code == TRADE_RETCODE_DONE_PARTIAL;
}

bool OrderCalcMargin(ENUM_ORDER_TYPE, const string &symbol, double volume, double price, double &margin) {
  const bench::Instrument *found = instrument(symbol);
  margin = found ? volume * found->contract * price / 100 : 0;
  return found != nullptr;
}

long TerminalInfoInteger(ENUM_TERMINAL_INFO_INTEGER property) {
  switch (property) {
  case TERMINAL_CONNECTED: return broker().permissions.connected;
  case TERMINAL_TRADE_ALLOWED: return broker().permissions.terminal;
  case TERMINAL_DLLS_ALLOWED: return 1;
  case TERMINAL_BUILD: return 5200;
  case TERMINAL_PING_LAST: return 1500;
  default: return 100;
  }
}
string TerminalInfoString(ENUM_TERMINAL_INFO_STRING) { return u"bench"_s; }
long MQLInfoInteger(ENUM_MQL_INFO_INTEGER property) {
  return property == MQL_TRADE_ALLOWED ? broker().permissions.expert : property == MQL_DLLS_ALLOWED;
}
string MQLInfoString(ENUM_MQL_INFO_STRING) { return u"Medulla"_s; }

long AccountInfoInteger(ENUM_ACCOUNT_INFO_INTEGER property) {
  switch (property) {
  case ACCOUNT_LOGIN: return broker().login;
  case ACCOUNT_TRADE_MODE: return broker().account_mode;
  case ACCOUNT_LEVERAGE: return 100;
  case ACCOUNT_TRADE_ALLOWED: return broker().permissions.account && broker().permissions.connected;
  case ACCOUNT_TRADE_EXPERT: return broker().permissions.account_expert;
  case ACCOUNT_MARGIN_MODE: return broker().margin_mode;
  default: return 2;
  }
}
double AccountInfoDouble(ENUM_ACCOUNT_INFO_DOUBLE property) {
  switch (property) {
  case ACCOUNT_BALANCE: return broker().balance;
  case ACCOUNT_CREDIT: return 0;
  case ACCOUNT_PROFIT: return broker().equity() - broker().balance;
  case ACCOUNT_EQUITY: return broker().equity();
  case ACCOUNT_MARGIN: return broker().margin();
  default: return broker().equity() - broker().margin();
  }
}
string AccountInfoString(ENUM_ACCOUNT_INFO_STRING property) {
  switch (property) {
  case ACCOUNT_SERVER: return u"Bench-Demo"_s;
  case ACCOUNT_CURRENCY: return u"USD"_s;
  case ACCOUNT_COMPANY: return u"Bench \"Broker\" Ltd"_s;
  default: return u"trader"_s;
  }
}

bool SymbolExist(const string &symbol, bool &is_custom) {
  is_custom = false;
  return instrument(symbol) != nullptr;
}
bool SymbolSelect(const string &symbol, bool) { return instrument(symbol) != nullptr; }
bool SymbolIsSynchronized(const string &symbol) { return instrument(symbol) && broker().permissions.synchronised; }
bool SymbolInfoTick(const string &symbol, MqlTick &tick) {
  const bench::Instrument *found = instrument(symbol);
  if (!found || found->ticks.empty()) return false;
  tick = found->ticks.back();
  return true;
}
long SymbolInfoInteger(const string &symbol, ENUM_SYMBOL_INFO_INTEGER property) {
  const bench::Instrument *found = instrument(symbol);
  if (!found) return 0;
  switch (property) {
  case SYMBOL_DIGITS: return found->digits;
  case SYMBOL_TRADE_STOPS_LEVEL: return found->stops_level;
  case SYMBOL_TRADE_FREEZE_LEVEL: return found->freeze_level;
  case SYMBOL_TRADE_MODE: return found->trade_mode;
  case SYMBOL_TRADE_EXEMODE: return found->execution;
  case SYMBOL_FILLING_MODE: return found->filling;
  case SYMBOL_EXPIRATION_MODE: return found->expiration_mode;
  case SYMBOL_ORDER_MODE: return found->order_mode;
  default: return 1;
  }
}
double SymbolInfoDouble(const string &symbol, ENUM_SYMBOL_INFO_DOUBLE property) {
  const bench::Instrument *found = instrument(symbol);
  if (!found) return 0;
  switch (property) {
  case SYMBOL_BID: return found->bid;
  case SYMBOL_ASK: return found->ask;
  case SYMBOL_POINT: return found->point();
  case SYMBOL_TRADE_TICK_SIZE: return found->tick_size > 0 ? found->tick_size : found->point();
  case SYMBOL_TRADE_TICK_VALUE: return found->point() * found->contract;
  case SYMBOL_TRADE_CONTRACT_SIZE: return found->contract;
  case SYMBOL_VOLUME_MIN: return found->volume_min;
  case SYMBOL_VOLUME_MAX: return found->volume_max;
  case SYMBOL_VOLUME_STEP: return found->volume_step;
  default: return found->volume_limit;
  }
}
string SymbolInfoString(const string &symbol, ENUM_SYMBOL_INFO_STRING) {
  const bench::Instrument *found = instrument(symbol);
  return found ? from_utf8(found->currency_profit) : string();
}
bool SymbolInfoSessionTrade(const string &symbol, ENUM_DAY_OF_WEEK, uint index, datetime &from, datetime &to) {
  const bench::Instrument *found = instrument(symbol);
  if (!found || index > 0) return false;
  from = 0;
  to = found->session_open ? 86400 : 0;
  return true;
}
int CopyTicks(const string &symbol, Array<MqlTick> &ticks, uint, ulong from, uint count) {
  const bench::Instrument *found = instrument(symbol);
  if (!found) return -1;
  ticks.items.clear();
  for (const MqlTick &tick : found->ticks)
    if (tick.time_msc >= static_cast<long>(from) && (count == 0 || ticks.items.size() < count)) ticks.items.push_back(tick);
  return ArraySize(ticks);
}

int PositionsTotal() { return static_cast<int>(broker().positions.size()); }
ulong PositionGetTicket(int index) {
  if (index < 0 || index >= PositionsTotal()) return 0;
  selected_position = broker().positions[static_cast<size_t>(index)];
  return selected_position.ticket;
}
bool PositionSelectByTicket(ulong ticket) {
  for (const bench::Position &candidate : broker().positions)
    if (candidate.ticket == ticket) {
      selected_position = candidate;
      return true;
    }
  return false;
}
long PositionGetInteger(ENUM_POSITION_PROPERTY_INTEGER property) {
  const bench::Position &p = selected_position;
  switch (property) {
  case POSITION_TICKET: return static_cast<long>(p.ticket);
  case POSITION_IDENTIFIER: return static_cast<long>(p.identifier);
  case POSITION_TYPE: return p.type;
  case POSITION_MAGIC: return p.magic;
  case POSITION_TIME: return p.opened_ms / 1000;
  default: return p.opened_ms;
  }
}
double PositionGetDouble(ENUM_POSITION_PROPERTY_DOUBLE property) {
  const bench::Position &p = selected_position;
  switch (property) {
  case POSITION_VOLUME: return p.volume;
  case POSITION_PRICE_OPEN: return p.price;
  case POSITION_PRICE_CURRENT:
    return p.type == POSITION_TYPE_BUY ? broker().instruments[p.symbol].bid : broker().instruments[p.symbol].ask;
  case POSITION_SL: return p.sl;
  case POSITION_TP: return p.tp;
  case POSITION_SWAP: return 0;
  default: return broker().profit(p);
  }
}
string PositionGetString(ENUM_POSITION_PROPERTY_STRING property) {
  return from_utf8(property == POSITION_SYMBOL ? selected_position.symbol : selected_position.comment);
}

int OrdersTotal() { return static_cast<int>(broker().orders.size()); }
ulong OrderGetTicket(int index) {
  if (index < 0 || index >= OrdersTotal()) return 0;
  selected_order = broker().orders[static_cast<size_t>(index)];
  return selected_order.ticket;
}
bool OrderSelect(ulong ticket) {
  for (const bench::Order &candidate : broker().orders)
    if (candidate.ticket == ticket) {
      selected_order = candidate;
      return true;
    }
  return false;
}
static long order_integer(const bench::Order &o, ENUM_ORDER_PROPERTY_INTEGER property) {
  switch (property) {
  case ORDER_TICKET: return static_cast<long>(o.ticket);
  case ORDER_TYPE: return o.type;
  case ORDER_STATE: return o.state;
  case ORDER_MAGIC: return o.magic;
  case ORDER_TIME_SETUP_MSC: return o.setup_ms;
  case ORDER_TIME_DONE_MSC: return o.done_ms;
  case ORDER_TIME_EXPIRATION: return o.expiration;
  case ORDER_POSITION_ID: return static_cast<long>(o.position);
  case ORDER_TYPE_TIME: return o.type_time;
  default: return o.filling;
  }
}
static double order_double(const bench::Order &o, ENUM_ORDER_PROPERTY_DOUBLE property) {
  switch (property) {
  case ORDER_VOLUME_INITIAL: return o.volume;
  case ORDER_VOLUME_CURRENT: return o.volume_left;
  case ORDER_PRICE_OPEN: return o.price;
  case ORDER_PRICE_STOPLIMIT: return o.stop_limit;
  case ORDER_SL: return o.sl;
  default: return o.tp;
  }
}
long OrderGetInteger(ENUM_ORDER_PROPERTY_INTEGER property) { return order_integer(selected_order, property); }
double OrderGetDouble(ENUM_ORDER_PROPERTY_DOUBLE property) { return order_double(selected_order, property); }
string OrderGetString(ENUM_ORDER_PROPERTY_STRING property) {
  return from_utf8(property == ORDER_SYMBOL ? selected_order.symbol : selected_order.comment);
}

bool HistorySelect(datetime from, datetime to) {
  if (!broker().permissions.synchronised) return false;
  selected_deals.clear();
  selected_history.clear();
  for (const bench::Deal &d : broker().deals)
    if (d.time_ms / 1000 >= from && d.time_ms / 1000 <= to) selected_deals.push_back(d.ticket);
  for (const bench::Order &o : broker().order_history)
    if (o.done_ms / 1000 >= from && o.done_ms / 1000 <= to) selected_history.push_back(o.ticket);
  return true;
}
int HistoryDealsTotal() { return static_cast<int>(selected_deals.size()); }
ulong HistoryDealGetTicket(int index) {
  return index < 0 || index >= HistoryDealsTotal() ? 0 : selected_deals[static_cast<size_t>(index)];
}
bool HistoryDealSelect(ulong ticket) {
  selected_deals.clear(); // the call resets the program's list of deals
  if (!deal(ticket)) return false;
  selected_deals.push_back(ticket);
  return true;
}
long HistoryDealGetInteger(ulong ticket, ENUM_DEAL_PROPERTY_INTEGER property) {
  const bench::Deal *d = deal(ticket);
  if (!d || std::find(selected_deals.begin(), selected_deals.end(), ticket) == selected_deals.end()) return 0;
  switch (property) {
  case DEAL_TICKET: return static_cast<long>(d->ticket);
  case DEAL_ORDER: return static_cast<long>(d->order);
  case DEAL_TIME: return d->time_ms / 1000;
  case DEAL_TIME_MSC: return d->time_ms;
  case DEAL_TYPE: return d->type;
  case DEAL_ENTRY: return d->entry;
  case DEAL_MAGIC: return d->magic;
  case DEAL_REASON: return d->reason;
  default: return static_cast<long>(d->position);
  }
}
double HistoryDealGetDouble(ulong ticket, ENUM_DEAL_PROPERTY_DOUBLE property) {
  const bench::Deal *d = deal(ticket);
  if (!d) return 0;
  return property == DEAL_VOLUME ? d->volume : property == DEAL_PRICE ? d->price : property == DEAL_PROFIT ? d->profit : 0;
}
string HistoryDealGetString(ulong ticket, ENUM_DEAL_PROPERTY_STRING property) {
  const bench::Deal *d = deal(ticket);
  return d ? from_utf8(property == DEAL_SYMBOL ? d->symbol : d->comment) : string();
}
int HistoryOrdersTotal() { return static_cast<int>(selected_history.size()); }
ulong HistoryOrderGetTicket(int index) {
  return index < 0 || index >= HistoryOrdersTotal() ? 0 : selected_history[static_cast<size_t>(index)];
}
bool HistoryOrderSelect(ulong ticket) {
  selected_history.clear();
  if (!historic(ticket)) return false;
  selected_history.push_back(ticket);
  return true;
}
long HistoryOrderGetInteger(ulong ticket, ENUM_ORDER_PROPERTY_INTEGER property) {
  const bench::Order *o = historic(ticket);
  return o ? order_integer(*o, property) : 0;
}
double HistoryOrderGetDouble(ulong ticket, ENUM_ORDER_PROPERTY_DOUBLE property) {
  const bench::Order *o = historic(ticket);
  return o ? order_double(*o, property) : 0;
}
string HistoryOrderGetString(ulong ticket, ENUM_ORDER_PROPERTY_STRING property) {
  const bench::Order *o = historic(ticket);
  return o ? from_utf8(property == ORDER_SYMBOL ? o->symbol : o->comment) : string();
}

} // namespace mql
