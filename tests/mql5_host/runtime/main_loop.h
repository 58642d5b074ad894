// The terminal's event loop around one program: events one after another, timers never faster than the platform's, none queued.
#pragma once
#include <deque>
#include <string>
#include "bench.h"

namespace bench {

class MainLoop {
public:
  bool tick_arrived = false;
  std::deque<std::string> clicks;
  long timer_calls = 0, longest_timer_us = 0, longest_cpu_us = 0;

  int run();
  int reinitialise(int reason);

private:
  mql::Handlers handlers_;
  int64_t next_timer_us_ = 0;
  void deliver_events();
  void fire_timer();
};

MainLoop &main_loop();

} // namespace bench
