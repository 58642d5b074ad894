// The terminal's side of MQL5 that is neither trading, files nor sockets: time, timers, the chart, DLLs, critical errors.
#include <dlfcn.h>
#include <execinfo.h>
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include "bench.h"

extern "C" void __gcov_dump() __attribute__((weak));

namespace bench {

Options options;
Clock clock;
PlatformFaults platform_faults;
Chart chart;
bool swallow_reply = false;
volatile bool stop_wanted = false;
int timer_period_ms = 0;

int64_t real_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

int64_t Clock::monotonic_us() const { return (frozen_at_us >= 0 ? frozen_at_us : real_us()) + skipped_ms * 1000; }

int64_t Clock::wall_ms() const {
  using namespace std::chrono;
  static const int64_t difference =
      duration_cast<microseconds>(system_clock::now().time_since_epoch()).count() - real_us();
  return (monotonic_us() + difference) / 1000 + wall_shift_ms;
}

void Clock::freeze() {
  if (frozen_at_us < 0) frozen_at_us = real_us();
}

void Clock::thaw() { frozen_at_us = -1; }

void crash() {
  if (__gcov_dump) __gcov_dump();
  _exit(9);
}

} // namespace bench

namespace mql {

void critical_error(const std::string &what) {
  fprintf(stderr, "CRITICAL ERROR: %s\n", what.c_str());
  void *frames[32];
  backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
  _exit(77);
}

// Stands before libzmq's zmq_send: a ROUTER's message is a reply, and one of them can be lost.
static int (*real_zmq_send)(void *, const void *, size_t, int) = nullptr;
static int (*real_zmq_getsockopt)(void *, int, void *, size_t *) = nullptr;
static int lossy_zmq_send(void *socket, const void *bytes, size_t length, int flags) {
  const int type_option = 16, router = 6, more = 2;
  int type = 0;
  size_t size = sizeof type;
  if (bench::swallow_reply && real_zmq_getsockopt(socket, type_option, &type, &size) == 0 && type == router) {
    if (!(flags & more)) bench::swallow_reply = false;
    return static_cast<int>(length);
  }
  return real_zmq_send(socket, bytes, length, flags);
}

void *library_symbol(const char *library, const char *symbol) {
  static std::map<std::string, void *> loaded;
  void *&handle = loaded[library];
  if (!handle) {
    auto path = bench::options.libraries.find(library);
    handle = dlopen(path == bench::options.libraries.end() ? library : path->second.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  void *address = handle ? dlsym(handle, symbol) : nullptr;
  if (!address) {
    fprintf(stderr, "cannot call imported function %s of %s: %s\n", symbol, library, dlerror());
    _exit(78);
  }
  if (std::string(symbol) == "zmq_send") {
    real_zmq_send = reinterpret_cast<decltype(real_zmq_send)>(address);
    real_zmq_getsockopt = reinterpret_cast<decltype(real_zmq_getsockopt)>(dlsym(handle, "zmq_getsockopt"));
    return reinterpret_cast<void *>(&lossy_zmq_send);
  }
  return address;
}

std::map<std::string, std::pair<void *, InputVariable::Assign>> &InputVariable::all() {
  static std::map<std::string, std::pair<void *, Assign>> inputs;
  return inputs;
}
void InputVariable::add(const char *name, void *variable, Assign assign) { all()[name] = {variable, assign}; }
bool InputVariable::set(const std::string &name, const std::string &value) {
  auto found = all().find(name);
  if (found == all().end()) return false;
  found->second.second(found->second.first, value);
  return true;
}

static const int64_t start_us = bench::real_us();
ulong GetMicrosecondCount() { return static_cast<ulong>(bench::clock.monotonic_us() - start_us); }
ulong GetTickCount64() { return static_cast<ulong>(bench::clock.monotonic_us() / 1000); }
uint GetTickCount() { return static_cast<uint>(GetTickCount64()); }
datetime TimeGMT() { return bench::clock.wall_ms() / 1000; }
datetime TimeLocal() { return bench::clock.wall_ms() / 1000; }
datetime TimeTradeServer() { return bench::clock.server_ms() / 1000; }
datetime TimeCurrent() { return bench::clock.server_ms() / 1000; }
void Sleep(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }
bool EventSetMillisecondTimer(int milliseconds) {
  bench::timer_period_ms = std::max(milliseconds, bench::options.timer_floor_ms);
  return milliseconds > 0;
}
void EventKillTimer() { bench::timer_period_ms = 0; }
void ExpertRemove() { bench::stop_wanted = true; }
bool IsStopped() { return bench::stop_wanted; }
int MathRand() { return rand() % 32768; }
void MathSrand(int seed) { srand(static_cast<unsigned>(seed)); }

string Symbol() { return from_utf8(bench::options.chart_symbol); }
long ChartID() { return 132987654321; }
void ChartRedraw(long) {}
bool ObjectCreate(long, const string &name, ENUM_OBJECT type, int, datetime, double) {
  bench::chart.type[to_utf8(name)] = type;
  return true;
}
int ObjectFind(long, const string &name) { return bench::chart.type.count(to_utf8(name)) ? 0 : -1; }
bool ObjectDelete(long, const string &name) {
  std::string key = to_utf8(name);
  bench::chart.whole.erase(key);
  bench::chart.text.erase(key);
  return bench::chart.type.erase(key) > 0;
}
int ObjectsDeleteAll(long, const string &prefix, int, int) {
  std::string begin = to_utf8(prefix);
  int count = 0;
  for (auto it = bench::chart.type.begin(); it != bench::chart.type.end();) {
    std::string name = it->first;
    ++it;
    if (name.compare(0, begin.size(), begin) == 0 && ObjectDelete(0, from_utf8(name))) count++;
  }
  return count;
}
bool ObjectSetInteger(long, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property, long value) {
  bench::chart.whole[to_utf8(name)][property] = value;
  return true;
}
bool ObjectSetString(long, const string &name, ENUM_OBJECT_PROPERTY_STRING property, const string &value) {
  bench::chart.text[to_utf8(name)][property] = to_utf8(value);
  return true;
}
long ObjectGetInteger(long, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property) {
  return bench::chart.whole[to_utf8(name)][property];
}
string ObjectGetString(long, const string &name, ENUM_OBJECT_PROPERTY_STRING property) {
  return from_utf8(bench::chart.text[to_utf8(name)][property]);
}

} // namespace mql
