// The simulated broker: its books, how it executes, and the faults it can be told to have. It outlives the EA's process through its
// state file, and writes every effect as one JSON line that the EA has no hand in.
#pragma once
#include <deque>
#include <map>
#include <string>
#include <vector>
#include "bench.h"

namespace bench {

struct Instrument {
  std::string name, currency_profit = "USD";
  int digits = 5, stops_level = 0, freeze_level = 0, filling = 3, execution = mql::SYMBOL_TRADE_EXECUTION_MARKET;
  int trade_mode = mql::SYMBOL_TRADE_MODE_FULL, expiration_mode = 15, order_mode = 127, session_open = 1;
  double bid = 1, ask = 1, volume_min = 0.01, volume_max = 100, volume_step = 0.01, volume_limit = 0, contract = 100000;
  double tick_size = 0;
  int64_t quote_ms = 0;
  std::vector<mql::MqlTick> ticks;
  double point() const;
  void quote(double new_bid, double new_ask);
};

struct Position {
  uint64_t ticket = 0, identifier = 0;
  std::string symbol, comment;
  int type = 0;
  double volume = 0, price = 0, sl = 0, tp = 0;
  int64_t magic = 0, opened_ms = 0;
};

struct Order {
  uint64_t ticket = 0, position = 0;
  std::string symbol, comment;
  int type = 0, state = 0, type_time = 0, filling = 0;
  double volume = 0, volume_left = 0, price = 0, stop_limit = 0, sl = 0, tp = 0;
  int64_t magic = 0, setup_ms = 0, done_ms = 0, expiration = 0;
};

struct Deal {
  uint64_t ticket = 0, order = 0, position = 0;
  std::string symbol, comment;
  int type = 0, entry = 0, reason = 0;
  double volume = 0, price = 0, profit = 0;
  int64_t magic = 0, time_ms = 0;
};

// What the next OrderSend answers. Mode: "exec" does the trade and answers `retcode`; "noexec" answers and does nothing; "later"
// answers now and does the trade when the control channel says `settle`.
struct Fault {
  unsigned retcode = 0;
  std::string mode;
};

struct Permissions {
  bool connected = true, synchronised = true, terminal = true, expert = true, account = true, account_expert = true;
};

class Broker {
public:
  std::map<std::string, Instrument> instruments;
  std::vector<Position> positions;
  std::vector<Order> orders, order_history;
  std::vector<Deal> deals;
  Permissions permissions;
  int account_mode = mql::ACCOUNT_TRADE_MODE_DEMO, margin_mode = mql::ACCOUNT_MARGIN_MODE_RETAIL_HEDGING;
  int64_t login = 5001;
  double balance = 10000;

  std::deque<Fault> faults;
  int latency_ms = 0, slow_sends = -1, send_count = 0;
  bool swallow_next_reply = false;
  double partial_fraction = 0;
  bool crash_before_send = false, crash_after_send = false, hide_results = true, rewrite_comments = false;
  std::deque<mql::MqlTradeTransaction> transactions;
  bool hold_transactions = false;
  bool bulk = false; // many trades at once are saved once

  void load();
  void save() const;
  unsigned send(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result);
  void set_quote(const std::string &symbol, double bid, double ask);
  void check_triggers(Instrument &instrument);
  void check_expirations();
  void settle();
  void deposit(double amount);
  uint64_t open_by_hand(const std::string &symbol, int type, double volume);
  double equity() const;
  double profit(const Position &position) const;
  double margin() const;

private:
  uint64_t next_ticket_ = 5001;
  int64_t effect_seq_ = 0;
  mutable std::vector<std::string> new_effects_; // of what is not saved yet
  std::vector<mql::MqlTradeRequest> unsettled_;
  std::string intent_;

  unsigned execute(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result, int reason);
  unsigned deal(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result, int reason);
  unsigned place(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result);
  unsigned modify_position(const mql::MqlTradeRequest &request);
  unsigned modify_order(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result);
  unsigned cancel(const mql::MqlTradeRequest &request, mql::MqlTradeResult &result);
  Deal book(const mql::MqlTradeRequest &request, uint64_t order, uint64_t position, int entry, double volume, double price,
            double profit, int reason);
  void retire(Order order, int state);
  void notify(mql::ENUM_TRADE_TRANSACTION_TYPE type, uint64_t deal, uint64_t order, uint64_t position,
              const std::string &symbol);
  void write_effects() const;
  void effect(const char *kind, uint64_t ticket, const std::string &symbol, const std::string &side, double volume,
              double price, const std::string &comment, int reason, const std::string &more = "");
};

Broker &broker();
std::string number(double value);

} // namespace bench
