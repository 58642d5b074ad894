// What the parts of the bench share: options, the clock, faults of the platform, and the wish to stop or crash.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include "mql.h"

namespace bench {

struct Options {
  std::string files_folder, common_folder, broker_file, effects_file, chart_symbol = "EURUSD";
  std::map<std::string, std::string> libraries;
  int timer_floor_ms = 15; // timer events come no faster than every 10-16 ms (EventSetMillisecondTimer)
};
extern Options options;

// The clock runs with the real one plus what the control channel added; `wall_shift` moves the calendar alone.
struct Clock {
  int64_t skipped_ms = 0, wall_shift_ms = 0, server_offset_s = 7200;
  int64_t frozen_at_us = -1;
  int64_t monotonic_us() const;
  int64_t wall_ms() const;
  int64_t server_ms() const { return wall_ms() + server_offset_s * 1000; }
  void freeze();
  void thaw();
};
extern Clock clock;
int64_t real_us();

struct PlatformFaults {
  bool file_writes_fail = false, file_opens_fail = false;
};
extern PlatformFaults platform_faults;

// The next reply that the EA sends gets lost on its way.
extern bool swallow_reply;

struct Chart {
  std::map<std::string, std::map<int, long>> whole;
  std::map<std::string, std::map<int, std::string>> text;
  std::map<std::string, int> type;
};
extern Chart chart;

extern volatile bool stop_wanted;
extern int timer_period_ms;

// Ends the process as a crash does: nothing is flushed, nothing is closed.
[[noreturn]] void crash();

// Reads control lines for up to `wait_ms`; called between events and while OrderSend waits for the broker.
void serve_control(int wait_ms);

} // namespace bench
