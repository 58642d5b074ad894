// How the simulated broker executes requests: retcodes, filling, stops, hedging and netting, pending orders.
#include <algorithm>
#include <cmath>
#include "broker.h"

namespace bench {

using namespace mql;

static const double TINY = 1e-9;

static bool on_step(double volume, double step) { return std::fabs(std::round(volume / step) * step - volume) < TINY; }

static bool filling_allowed(const Instrument &instrument, int filling) {
  if (instrument.execution == SYMBOL_TRADE_EXECUTION_REQUEST || instrument.execution == SYMBOL_TRADE_EXECUTION_INSTANT)
    return true;
  if (filling == ORDER_FILLING_FOK) return instrument.filling & SYMBOL_FILLING_FOK;
  if (filling == ORDER_FILLING_IOC) return instrument.filling & SYMBOL_FILLING_IOC;
  return filling == ORDER_FILLING_RETURN && instrument.execution == SYMBOL_TRADE_EXECUTION_EXCHANGE;
}

static bool stops_wrong(const Instrument &instrument, bool buy, double reference, double sl, double tp) {
  double level = instrument.stops_level * instrument.point() - TINY, sign = buy ? 1 : -1;
  return (sl > 0 && (reference - sl) * sign < level) || (tp > 0 && (tp - reference) * sign < level);
}

unsigned Broker::send(const MqlTradeRequest &request, MqlTradeResult &result) {
  send_count++;
  if (crash_before_send) crash();
  if (slow_sends != 0) {
    if (slow_sends > 0) slow_sends--;
    for (int64_t until = real_us() + latency_ms * 1000; real_us() < until;)
      serve_control(std::max(1, static_cast<int>((until - real_us()) / 1000)));
  }
  if (swallow_next_reply) swallow_reply = true;
  swallow_next_reply = false;
  Fault fault;
  if (!faults.empty()) {
    fault = faults.front();
    faults.pop_front();
  }
  unsigned code = fault.retcode;
  if (fault.mode == "noexec") {
    // nothing reaches the books
  } else if (fault.mode == "later") {
    unsettled_.push_back(request);
  } else if (!permissions.connected) {
    code = TRADE_RETCODE_CONNECTION;
  } else if (!permissions.terminal || !permissions.expert) {
    code = TRADE_RETCODE_CLIENT_DISABLES_AT;
  } else if (!permissions.account) {
    code = TRADE_RETCODE_TRADE_DISABLED;
  } else {
    unsigned done = execute(request, result, DEAL_REASON_EXPERT);
    if (fault.mode.empty()) code = done;
    else if (hide_results) result = MqlTradeResult{};
  }
  if (crash_after_send) crash();
  result.retcode = code;
  auto found = instruments.find(to_utf8(request.symbol));
  if (found != instruments.end()) {
    result.bid = found->second.bid;
    result.ask = found->second.ask;
  }
  return code;
}

void Broker::settle() {
  auto waiting = std::move(unsettled_);
  unsettled_.clear();
  for (const auto &request : waiting) {
    MqlTradeResult ignored = {};
    execute(request, ignored, DEAL_REASON_EXPERT);
  }
}

unsigned Broker::execute(const MqlTradeRequest &request, MqlTradeResult &result, int reason) {
  unsigned code = TRADE_RETCODE_INVALID;
  switch (request.action) {
  case TRADE_ACTION_DEAL: code = deal(request, result, reason); break;
  case TRADE_ACTION_PENDING: code = place(request, result); break;
  case TRADE_ACTION_SLTP: code = modify_position(request); break;
  case TRADE_ACTION_MODIFY: code = modify_order(request, result); break;
  case TRADE_ACTION_REMOVE: code = cancel(request, result); break;
  default: break;
  }
  save();
  return code;
}

unsigned Broker::deal(const MqlTradeRequest &request, MqlTradeResult &result, int reason) {
  auto found = instruments.find(to_utf8(request.symbol));
  if (found == instruments.end()) return TRADE_RETCODE_INVALID;
  Instrument &instrument = found->second;
  bool buy = request.type == ORDER_TYPE_BUY, from_ea = reason == DEAL_REASON_EXPERT;
  double price = buy ? instrument.ask : instrument.bid, volume = request.volume;
  if (from_ea && !instrument.session_open) return TRADE_RETCODE_MARKET_CLOSED;
  if (from_ea && !filling_allowed(instrument, request.type_filling)) return TRADE_RETCODE_INVALID_FILL;
  if (volume < instrument.volume_min - TINY || volume > instrument.volume_max + TINY || !on_step(volume, instrument.volume_step))
    return TRADE_RETCODE_INVALID_VOLUME;
  if (stops_wrong(instrument, buy, buy ? instrument.bid : instrument.ask, request.sl, request.tp))
    return TRADE_RETCODE_INVALID_STOPS;
  if (from_ea && instrument.execution == SYMBOL_TRADE_EXECUTION_INSTANT &&
      std::fabs(price - request.price) > double(request.deviation) * instrument.point() + TINY)
    return TRADE_RETCODE_REQUOTE;
  bool partial = partial_fraction > 0 && from_ea;
  if (partial) {
    volume = std::max(instrument.volume_step, std::round(volume * partial_fraction / instrument.volume_step) * instrument.volume_step);
    partial_fraction = 0;
  }
  bool hedging = margin_mode == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING;
  auto target = std::find_if(positions.begin(), positions.end(), [&](const Position &position) {
    return request.position ? position.ticket == request.position : !hedging && position.symbol == instrument.name;
  });
  if (request.position && target == positions.end()) return TRADE_RETCODE_POSITION_CLOSED;
  uint64_t order = next_ticket_++;
  bool against = target != positions.end() && target->type != request.type;
  if (request.position && (!against || volume > target->volume + TINY)) return TRADE_RETCODE_INVALID_CLOSE_VOLUME;
  Deal done;
  if (against) {
    double closed = std::min(volume, target->volume), before = target->volume, gain = profit(*target) * closed / before;
    bool reversal = volume > before + TINY;
    done = book(request, order, target->identifier, reversal ? DEAL_ENTRY_INOUT : DEAL_ENTRY_OUT, volume, price, gain, reason);
    target->volume = std::round((before - volume) / TINY) * TINY;
    if (reversal) {
      target->type = request.type;
      target->volume = -target->volume;
      target->ticket = order; // POSITION_TICKET changes on a reversal, POSITION_IDENTIFIER does not
      target->price = price;
    } else if (target->volume < TINY) {
      positions.erase(target);
    }
  } else if (target != positions.end()) {
    done = book(request, order, target->identifier, DEAL_ENTRY_IN, volume, price, 0, reason);
    target->price = (target->price * target->volume + price * volume) / (target->volume + volume);
    target->volume += volume;
    if (request.sl > 0) target->sl = request.sl;
    if (request.tp > 0) target->tp = request.tp;
  } else {
    Position opened = {order, order, instrument.name, "", request.type, volume, price, request.sl, request.tp, int64_t(request.magic), clock.server_ms()};
    opened.comment = rewrite_comments ? "[broker]" : to_utf8(request.comment);
    done = book(request, order, order, DEAL_ENTRY_IN, volume, price, 0, reason);
    positions.push_back(opened);
  }
  result.order = order;
  result.deal = done.ticket;
  result.price = price;
  result.volume = volume;
  return partial ? TRADE_RETCODE_DONE_PARTIAL : TRADE_RETCODE_DONE;
}

static bool pending_price_wrong(const Instrument &instrument, int type, double price) {
  double level = instrument.stops_level * instrument.point() - TINY;
  switch (type) {
  case ORDER_TYPE_BUY_LIMIT: return instrument.ask - price < level;
  case ORDER_TYPE_SELL_LIMIT: return price - instrument.bid < level;
  case ORDER_TYPE_BUY_STOP:
  case ORDER_TYPE_BUY_STOP_LIMIT: return price - instrument.ask < level;
  default: return instrument.bid - price < level;
  }
}

unsigned Broker::place(const MqlTradeRequest &request, MqlTradeResult &result) {
  auto found = instruments.find(to_utf8(request.symbol));
  if (found == instruments.end()) return TRADE_RETCODE_INVALID;
  const Instrument &instrument = found->second;
  if (!on_step(request.volume, instrument.volume_step)) return TRADE_RETCODE_INVALID_VOLUME;
  if (pending_price_wrong(instrument, request.type, request.price)) return TRADE_RETCODE_INVALID_PRICE;
  if (request.type_time == ORDER_TIME_SPECIFIED && request.expiration <= clock.server_ms() / 1000)
    return TRADE_RETCODE_INVALID_EXPIRATION;
  Order order;
  order.ticket = next_ticket_++;
  order.symbol = instrument.name;
  order.comment = rewrite_comments ? "[broker]" : to_utf8(request.comment);
  order.type = request.type;
  order.state = ORDER_STATE_PLACED;
  order.type_time = request.type_time;
  order.filling = request.type_filling;
  order.volume = order.volume_left = request.volume;
  order.price = request.price;
  order.stop_limit = request.stoplimit;
  order.sl = request.sl;
  order.tp = request.tp;
  order.magic = int64_t(request.magic);
  order.setup_ms = clock.server_ms();
  order.expiration = request.expiration;
  orders.push_back(order);
  bool buy = order.type % 2 == 0;
  effect("order_placed", order.ticket, order.symbol, buy ? "BUY" : "SELL", order.volume, order.price, order.comment, DEAL_REASON_EXPERT);
  notify(TRADE_TRANSACTION_ORDER_ADD, 0, order.ticket, 0, order.symbol);
  result.order = order.ticket;
  result.volume = order.volume;
  result.price = order.price;
  return TRADE_RETCODE_DONE;
}

unsigned Broker::modify_position(const MqlTradeRequest &request) {
  for (Position &position : positions) {
    if (position.ticket != request.position) continue;
    const Instrument &instrument = instruments[position.symbol];
    bool buy = position.type == POSITION_TYPE_BUY;
    if (position.sl == request.sl && position.tp == request.tp) return TRADE_RETCODE_NO_CHANGES;
    if (stops_wrong(instrument, buy, buy ? instrument.bid : instrument.ask, request.sl, request.tp))
      return TRADE_RETCODE_INVALID_STOPS;
    position.sl = request.sl;
    position.tp = request.tp;
    effect("position_modified", position.ticket, position.symbol, buy ? "BUY" : "SELL", position.volume, position.price, position.comment, DEAL_REASON_EXPERT);
    notify(TRADE_TRANSACTION_POSITION, 0, 0, position.ticket, position.symbol);
    return TRADE_RETCODE_DONE;
  }
  return TRADE_RETCODE_POSITION_CLOSED;
}

unsigned Broker::modify_order(const MqlTradeRequest &request, MqlTradeResult &result) {
  for (Order &order : orders) {
    if (order.ticket != request.order) continue;
    if (pending_price_wrong(instruments[order.symbol], order.type, request.price)) return TRADE_RETCODE_INVALID_PRICE;
    order.price = request.price;
    order.stop_limit = request.stoplimit;
    order.sl = request.sl;
    order.tp = request.tp;
    order.type_time = request.type_time;
    order.expiration = request.expiration;
    effect("order_modified", order.ticket, order.symbol, order.type % 2 == 0 ? "BUY" : "SELL", order.volume, order.price, order.comment, DEAL_REASON_EXPERT);
    notify(TRADE_TRANSACTION_ORDER_UPDATE, 0, order.ticket, 0, order.symbol);
    result.order = order.ticket;
    result.price = order.price;
    return TRADE_RETCODE_DONE;
  }
  return TRADE_RETCODE_INVALID_ORDER;
}

unsigned Broker::cancel(const MqlTradeRequest &request, MqlTradeResult &result) {
  for (const Order &order : orders) {
    if (order.ticket != request.order) continue;
    Order gone = order;
    effect("order_cancelled", gone.ticket, gone.symbol, gone.type % 2 == 0 ? "BUY" : "SELL", gone.volume, gone.price, gone.comment, DEAL_REASON_EXPERT);
    retire(gone, ORDER_STATE_CANCELED);
    result.order = gone.ticket;
    return TRADE_RETCODE_DONE;
  }
  return TRADE_RETCODE_INVALID_ORDER;
}

} // namespace bench
