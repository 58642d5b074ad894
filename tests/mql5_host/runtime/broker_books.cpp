// The simulated broker's books: bookings, market moves that trigger orders and stops, the state file, the ledger of effects.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include "broker.h"

namespace bench {

using namespace mql;

Broker &broker() {
  static Broker instance;
  return instance;
}

std::string number(double value) {
  char buffer[64];
  snprintf(buffer, sizeof buffer, "%.8f", value);
  std::string text = buffer;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

double Instrument::point() const { return std::pow(10, -digits); }

double Broker::profit(const Position &position) const {
  const Instrument &instrument = instruments.at(position.symbol);
  double moved = position.type == POSITION_TYPE_BUY ? instrument.bid - position.price : position.price - instrument.ask;
  return moved * position.volume * instrument.contract;
}

double Broker::equity() const {
  double sum = balance;
  for (const Position &position : positions) sum += profit(position);
  return sum;
}

double Broker::margin() const {
  double sum = 0;
  for (const Position &position : positions)
    sum += position.volume * instruments.at(position.symbol).contract * position.price / 100;
  return sum;
}

void Broker::notify(ENUM_TRADE_TRANSACTION_TYPE type, uint64_t deal, uint64_t order, uint64_t position,
                    const std::string &symbol) {
  MqlTradeTransaction change = {};
  change.type = type;
  change.deal = deal;
  change.order = order;
  change.position = position;
  change.symbol = from_utf8(symbol);
  transactions.push_back(change);
}

static std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// The cid of an effect is what the EA's ledger says ON DISK at the moment of OrderSend: an intent that was not flushed is not there,
// and the effect then carries the cid "" or an older one. The EA never learns that it is read.
static std::string intent_on_disk() {
  std::ifstream file(options.files_folder + "/Medulla/ledger_" + std::to_string(broker().login) + ".jsonl");
  std::string line, cid;
  const std::string mark = "\"t\":\"intent\",\"cid\":\"";
  std::streamoff tail = 4096;
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - tail));
  while (std::getline(file, line)) {
    size_t at = line.find(mark);
    if (at == std::string::npos) continue;
    at += mark.size();
    cid = line.substr(at, line.find('"', at) - at);
  }
  return cid;
}

void Broker::effect(const char *kind, uint64_t ticket, const std::string &symbol, const std::string &side, double volume,
                    double price, const std::string &comment, int reason, const std::string &more) {
  static const char *names[] = {"client", "client", "client", "expert", "sl", "tp", "so"};
  if (options.effects_file.empty()) return;
  std::string cid = reason == DEAL_REASON_EXPERT ? intent_on_disk() : "";
  std::ostringstream line;
  line << "{\"seq\":" << ++effect_seq_ << ",\"time\":" << clock.wall_ms() << ",\"effect\":\"" << kind << "\",\"cid\":"
       << (cid.empty() ? "null" : quoted(cid)) << ",\"ticket\":\"" << ticket << "\",\"symbol\":" << quoted(symbol)
       << ",\"side\":\"" << side << "\",\"volume\":\"" << number(volume) << "\",\"price\":\"" << number(price)
       << "\",\"reason\":\"" << names[reason] << "\",\"comment\":" << quoted(comment) << more << "}";
  new_effects_.push_back(line.str());
}

// The ledger of effects follows the books: a kill between the two is made good when the books are read again.
void Broker::write_effects() const {
  if (new_effects_.empty()) return;
  std::ofstream file(options.effects_file, std::ios::app);
  for (const std::string &line : new_effects_) file << line << '\n';
  file.flush();
  new_effects_.clear();
}

Deal Broker::book(const MqlTradeRequest &request, uint64_t order, uint64_t position, int entry, double volume, double price,
                  double gain, int reason) {
  Deal done = {next_ticket_++, order, position, to_utf8(request.symbol), rewrite_comments ? "[broker]" : to_utf8(request.comment), int(request.type), entry, reason, volume, price, gain, int64_t(request.magic), clock.server_ms()};
  deals.push_back(done);
  balance += gain;
  Order filled;
  filled.ticket = order;
  filled.position = position;
  filled.symbol = done.symbol;
  filled.comment = done.comment;
  filled.type = request.type;
  filled.state = ORDER_STATE_FILLED;
  filled.volume = volume;
  filled.price = price;
  filled.magic = done.magic;
  filled.setup_ms = filled.done_ms = done.time_ms;
  if (std::none_of(order_history.begin(), order_history.end(), [&](const Order &o) { return o.ticket == order; }))
    order_history.push_back(filled);
  static const char *entries[] = {"in", "out", "inout", "out_by"};
  effect("deal", done.ticket, done.symbol, request.type == ORDER_TYPE_BUY ? "BUY" : "SELL", volume, price, to_utf8(request.comment), reason,
         ",\"order\":\"" + std::to_string(order) + "\",\"position\":\"" + std::to_string(position) + "\",\"entry\":\"" + entries[entry] + "\"");
  notify(TRADE_TRANSACTION_DEAL_ADD, done.ticket, order, position, done.symbol);
  return done;
}

void Broker::retire(Order order, int state) {
  orders.erase(std::find_if(orders.begin(), orders.end(), [&](const Order &o) { return o.ticket == order.ticket; }));
  order.state = state;
  order.done_ms = clock.server_ms();
  order_history.push_back(order);
  notify(TRADE_TRANSACTION_ORDER_DELETE, 0, order.ticket, 0, order.symbol);
  notify(TRADE_TRANSACTION_HISTORY_ADD, 0, order.ticket, 0, order.symbol);
}

void Instrument::quote(double new_bid, double new_ask) {
  bid = new_bid;
  ask = new_ask;
  quote_ms = std::max(clock.server_ms(), quote_ms + 1);
  mql::MqlTick tick = {};
  tick.time = quote_ms / 1000;
  tick.time_msc = quote_ms;
  tick.bid = bid;
  tick.ask = ask;
  tick.volume = 1;
  ticks.push_back(tick);
  if (ticks.size() > 4096) ticks.erase(ticks.begin());
}

void Broker::set_quote(const std::string &symbol, double bid, double ask) {
  Instrument &instrument = instruments.at(symbol);
  instrument.quote(bid, ask);
  check_triggers(instrument);
}

void Broker::check_triggers(Instrument &instrument) {
  for (const Position position : std::vector<Position>(positions)) {
    if (position.symbol != instrument.name) continue;
    bool buy = position.type == POSITION_TYPE_BUY;
    double price = buy ? instrument.bid : instrument.ask, sign = buy ? 1 : -1;
    bool stopped = position.sl > 0 && (price - position.sl) * sign <= 0;
    bool taken = position.tp > 0 && (price - position.tp) * sign >= 0;
    if (!stopped && !taken) continue;
    MqlTradeRequest request = {};
    MqlTradeResult result = {};
    request.action = TRADE_ACTION_DEAL;
    request.symbol = from_utf8(instrument.name);
    request.type = buy ? ORDER_TYPE_SELL : ORDER_TYPE_BUY;
    request.volume = position.volume;
    request.position = position.ticket;
    request.magic = static_cast<ulong>(position.magic);
    request.comment = from_utf8(stopped ? "[sl]" : "[tp]");
    execute(request, result, stopped ? DEAL_REASON_SL : DEAL_REASON_TP);
  }
  for (const Order order : std::vector<Order>(orders)) {
    if (order.symbol != instrument.name) continue;
    bool buy = order.type % 2 == 0, limit = order.type == ORDER_TYPE_BUY_LIMIT || order.type == ORDER_TYPE_SELL_LIMIT;
    double price = buy ? instrument.ask : instrument.bid, sign = (buy ? 1 : -1) * (limit ? -1 : 1);
    if ((price - order.price) * sign < 0) continue;
    bool stop_limit = order.type == ORDER_TYPE_BUY_STOP_LIMIT || order.type == ORDER_TYPE_SELL_STOP_LIMIT;
    if (stop_limit) { // turns into the limit order
      for (Order &pending : orders) {
        if (pending.ticket != order.ticket) continue;
        pending.type = buy ? ORDER_TYPE_BUY_LIMIT : ORDER_TYPE_SELL_LIMIT;
        pending.price = order.stop_limit;
      }
      notify(TRADE_TRANSACTION_ORDER_UPDATE, 0, order.ticket, 0, order.symbol);
      continue;
    }
    retire(order, ORDER_STATE_FILLED);
    MqlTradeRequest request = {};
    MqlTradeResult result = {};
    request.action = TRADE_ACTION_DEAL;
    request.symbol = from_utf8(order.symbol);
    request.type = buy ? ORDER_TYPE_BUY : ORDER_TYPE_SELL;
    request.volume = order.volume;
    request.sl = order.sl;
    request.tp = order.tp;
    request.magic = static_cast<ulong>(order.magic);
    request.comment = from_utf8(order.comment);
    execute(request, result, DEAL_REASON_CLIENT);
    if (result.order == 0) continue;
    deals.back().order = order.ticket; // the deal belongs to the pending order, and a new position is named after it
    if (!positions.empty() && positions.back().ticket == result.order) {
      positions.back().ticket = positions.back().identifier = order.ticket;
      deals.back().position = order.ticket;
    }
  }
  save();
}

void Broker::check_expirations() {
  int64_t now = clock.server_ms() / 1000;
  for (const Order order : std::vector<Order>(orders))
    if (order.expiration > 0 && order.expiration <= now) {
      retire(order, ORDER_STATE_EXPIRED);
      save();
    }
}

void Broker::deposit(double amount) {
  Deal entry;
  entry.ticket = next_ticket_++;
  entry.type = DEAL_TYPE_BALANCE;
  entry.profit = amount;
  entry.comment = "deposit";
  entry.time_ms = clock.server_ms();
  deals.push_back(entry);
  balance += amount;
  notify(TRADE_TRANSACTION_DEAL_ADD, entry.ticket, 0, 0, "");
  save();
}

uint64_t Broker::open_by_hand(const std::string &symbol, int type, double volume) {
  MqlTradeRequest request = {};
  MqlTradeResult result = {};
  request.action = TRADE_ACTION_DEAL;
  request.symbol = from_utf8(symbol);
  request.type = static_cast<ENUM_ORDER_TYPE>(type);
  request.volume = volume;
  execute(request, result, DEAL_REASON_CLIENT);
  return result.order;
}

// --- state file: one line an object, fields separated by tabs, doubles exact
void Broker::save() const {
  if (bulk) return;
  if (options.broker_file.empty()) return write_effects();
  std::ostringstream out;
  out.precision(17);
  out << "broker\t" << next_ticket_ << '\t' << effect_seq_ << '\t' << balance << '\n';
  for (const auto &[name, instrument] : instruments)
    out << "quote\t" << name << '\t' << instrument.bid << '\t' << instrument.ask << '\n';
  for (const Position &p : positions)
    out << "position\t" << p.ticket << '\t' << p.identifier << '\t' << p.symbol << '\t' << p.comment << '\t' << p.type << '\t' << p.volume << '\t' << p.price << '\t' << p.sl << '\t' << p.tp << '\t' << p.magic << '\t' << p.opened_ms << '\n';
  auto write_order = [&](const char *kind, const Order &o) {
    out << kind << '\t' << o.ticket << '\t' << o.position << '\t' << o.symbol << '\t' << o.comment << '\t' << o.type << '\t' << o.state << '\t' << o.type_time << '\t' << o.filling << '\t' << o.volume << '\t' << o.volume_left << '\t' << o.price << '\t' << o.stop_limit << '\t' << o.sl << '\t' << o.tp << '\t' << o.magic << '\t' << o.setup_ms << '\t' << o.done_ms << '\t' << o.expiration << '\n';
  };
  for (const Order &o : orders) write_order("order", o);
  for (const Order &o : order_history) write_order("history", o);
  for (const Deal &d : deals)
    out << "deal\t" << d.ticket << '\t' << d.order << '\t' << d.position << '\t' << d.symbol << '\t' << d.comment << '\t' << d.type << '\t' << d.entry << '\t' << d.reason << '\t' << d.volume << '\t' << d.price << '\t' << d.profit << '\t' << d.magic << '\t' << d.time_ms << '\n';
  for (const std::string &line : new_effects_) out << "effect\t" << line << '\n';
  std::ofstream(options.broker_file + ".new") << out.str();
  std::rename((options.broker_file + ".new").c_str(), options.broker_file.c_str());
  write_effects();
}

void Broker::load() {
  std::ifstream file(options.broker_file), known(options.effects_file);
  const std::string written((std::istreambuf_iterator<char>(known)), std::istreambuf_iterator<char>());
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string> f;
    std::stringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) f.push_back(field);
    auto whole = [&](size_t i) { return std::stoll(f[i]); };
    auto real = [&](size_t i) { return std::stod(f[i]); };
    if (f[0] == "broker") {
      next_ticket_ = static_cast<uint64_t>(whole(1));
      effect_seq_ = whole(2);
      balance = real(3);
    } else if (f[0] == "effect") {
      if (written.find(line.substr(7)) == std::string::npos) new_effects_.push_back(line.substr(7));
    } else if (f[0] == "quote") {
      Instrument &instrument = instruments[f[1]];
      instrument.name = f[1];
      instrument.quote(real(2), real(3));
    } else if (f[0] == "position") {
      positions.push_back({uint64_t(whole(1)), uint64_t(whole(2)), f[3], f[4], int(whole(5)), real(6), real(7), real(8), real(9), whole(10), whole(11)});
    } else if (f[0] == "order" || f[0] == "history") {
      Order o = {uint64_t(whole(1)), uint64_t(whole(2)), f[3], f[4], int(whole(5)), int(whole(6)), int(whole(7)), int(whole(8)), real(9), real(10), real(11), real(12), real(13), real(14), whole(15), whole(16), whole(17), whole(18)};
      (f[0] == "order" ? orders : order_history).push_back(o);
    } else if (f[0] == "deal") {
      deals.push_back({uint64_t(whole(1)), uint64_t(whole(2)), uint64_t(whole(3)), f[4], f[5], int(whole(6)), int(whole(7)), int(whole(8)), real(9), real(10), real(11), whole(12), whole(13)});
    }
  }
  write_effects();
}

} // namespace bench
