// Starts the bench: options, a market to trade on, the program's inputs, then the event loop.
//   ea --files DIR --common DIR --broker FILE --effects FILE --set FILE --library NAME=PATH --timer-floor MS
#include <algorithm>
#include <csignal>
#include <ctime>
#include <cstdio>
#include <fstream>
#include "broker.h"
#include "main_loop.h"

namespace bench {

MainLoop &main_loop() {
  static MainLoop instance;
  return instance;
}

int MainLoop::reinitialise(int reason) {
  if (handlers_.OnDeinit) handlers_.OnDeinit(reason);
  return handlers_.OnInit ? handlers_.OnInit() : 0;
}

void MainLoop::deliver_events() {
  Broker &b = broker();
  while (!b.hold_transactions && !b.transactions.empty()) {
    mql::MqlTradeTransaction change = b.transactions.front();
    b.transactions.pop_front();
    mql::MqlTradeRequest request = {};
    mql::MqlTradeResult result = {};
    if (handlers_.OnTradeTransaction) handlers_.OnTradeTransaction(change, request, result);
  }
  while (!clicks.empty()) {
    mql::string name = mql::from_utf8(clicks.front());
    clicks.pop_front();
    long x = 0;
    double y = 0;
    if (handlers_.OnChartEvent) handlers_.OnChartEvent(mql::CHARTEVENT_OBJECT_CLICK, x, y, name);
  }
  if (tick_arrived && handlers_.OnTick) handlers_.OnTick();
  tick_arrived = false;
}

// Time that this thread worked: what a machine that does other things cannot lengthen.
static int64_t cpu_us() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void MainLoop::fire_timer() {
  int64_t begun = real_us(), worked = cpu_us();
  timer_calls++;
  if (handlers_.OnTimer) handlers_.OnTimer();
  int64_t ended = real_us();
  longest_timer_us = std::max<long>(longest_timer_us, ended - begun);
  longest_cpu_us = std::max<long>(longest_cpu_us, cpu_us() - worked);
  // an event that falls into a running handler is lost, not queued
  next_timer_us_ += timer_period_ms * 1000;
  if (next_timer_us_ < ended) next_timer_us_ = ended + 1000;
}

int MainLoop::run() {
  handlers_ = mql::program_handlers();
  int result = handlers_.OnInit ? handlers_.OnInit() : 0;
  printf("init %d\n", result);
  fflush(stdout);
  if (result != mql::INIT_SUCCEEDED) {
    if (handlers_.OnDeinit) handlers_.OnDeinit(mql::REASON_INITFAILED);
    return 3;
  }
  next_timer_us_ = real_us() + timer_period_ms * 1000;
  while (!stop_wanted) {
    int64_t until_timer = timer_period_ms > 0 ? next_timer_us_ - real_us() : 50000;
    serve_control(static_cast<int>(std::clamp<int64_t>((until_timer + 999) / 1000, 0, 50)));
    deliver_events();
    if (timer_period_ms > 0 && real_us() >= next_timer_us_) fire_timer();
  }
  if (handlers_.OnDeinit) handlers_.OnDeinit(mql::REASON_CLOSE);
  return 0;
}

static void read_set_file(const std::string &path) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    size_t equals = line.find('=');
    if (line.empty() || line[0] == ';' || equals == std::string::npos) continue;
    if (!mql::InputVariable::set(line.substr(0, equals), line.substr(equals + 1))) {
      fprintf(stderr, "unknown input: %s\n", line.c_str());
      exit(2);
    }
  }
}

static void default_market() {
  auto add = [](const char *name, int digits, double bid, double ask, double contract) {
    Instrument &instrument = broker().instruments[name];
    instrument.name = name;
    instrument.digits = digits;
    instrument.contract = contract;
    instrument.quote(bid, ask);
  };
  add("EURUSD", 5, 1.10000, 1.10010, 100000);
  add("GBPUSD", 5, 1.25000, 1.25012, 100000);
  add("XAUUSD", 2, 2650.00, 2650.25, 100);
  broker().instruments["XAUUSD"].filling = mql::SYMBOL_FILLING_IOC;
}

} // namespace bench

int main(int argc, char **argv) {
  using namespace bench;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "--files") options.files_folder = value;
    else if (name == "--common") options.common_folder = value;
    else if (name == "--broker") options.broker_file = value;
    else if (name == "--effects") options.effects_file = value;
    else if (name == "--set") read_set_file(value);
    else if (name == "--timer-floor") options.timer_floor_ms = std::stoi(value);
    else if (name == "--library") options.libraries[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
    else {
      fprintf(stderr, "unknown option %s\n", name.c_str());
      return 2;
    }
  }
  std::signal(SIGTERM, [](int) { stop_wanted = true; });
  std::signal(SIGINT, SIG_IGN); // the parent decides
  std::signal(SIGPIPE, SIG_IGN);
  default_market();
  broker().load();
  broker().check_expirations();
  return main_loop().run();
}
