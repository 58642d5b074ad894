// The control channel: one command a line on standard input, one answer a line on standard output. It is how a test plays the market,
// the broker's moods and the terminal's accidents. The end of standard input ends the process, so that no test leaves one behind.
#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <sstream>
#include "broker.h"
#include "main_loop.h"

namespace bench {

namespace {

using Words = std::vector<std::string>;

double real(const Words &words, size_t index) { return std::stod(words.at(index)); }
int whole(const Words &words, size_t index) { return std::stoi(words.at(index)); }

void set_symbol_field(Instrument &instrument, const std::string &field, const std::string &value) {
  static const std::map<std::string, int Instrument::*> wholes = {
      {"digits", &Instrument::digits},           {"stops_level", &Instrument::stops_level},
      {"freeze_level", &Instrument::freeze_level}, {"filling", &Instrument::filling},
      {"execution", &Instrument::execution},     {"trade_mode", &Instrument::trade_mode},
      {"expiration_mode", &Instrument::expiration_mode}, {"order_mode", &Instrument::order_mode},
      {"session_open", &Instrument::session_open}};
  static const std::map<std::string, double Instrument::*> reals = {
      {"volume_min", &Instrument::volume_min},     {"volume_max", &Instrument::volume_max},
      {"volume_step", &Instrument::volume_step},   {"volume_limit", &Instrument::volume_limit},
      {"contract", &Instrument::contract},         {"tick_size", &Instrument::tick_size}};
  if (wholes.count(field))
    instrument.*wholes.at(field) = std::stoi(value);
  else
    instrument.*reals.at(field) = std::stod(value);
}

void set_permission(const std::string &name, bool allowed) {
  static const std::map<std::string, bool Permissions::*> fields = {
      {"connected", &Permissions::connected}, {"synchronised", &Permissions::synchronised},
      {"terminal", &Permissions::terminal},   {"expert", &Permissions::expert},
      {"account", &Permissions::account},     {"account_expert", &Permissions::account_expert}};
  broker().permissions.*fields.at(name) = allowed;
}

void queue_transactions(const std::string &what) {
  Broker &b = broker();
  b.hold_transactions = what == "hold";
  if (what == "reverse") std::reverse(b.transactions.begin(), b.transactions.end());
  if (what == "drop") b.transactions.clear();
}

std::string panel_text() {
  std::string out;
  for (const auto &[name, properties] : chart.text) {
    auto text = properties.find(mql::OBJPROP_TEXT);
    if (text != properties.end()) out += (out.empty() ? "" : "|") + name + "=" + text->second;
  }
  return out;
}

using Command = std::function<std::string(const Words &)>;

const std::map<std::string, Command> &commands() {
  static const std::map<std::string, Command> table = {
      {"symbol", [](const Words &w) { // symbol NAME [field value]...
         Instrument &instrument = broker().instruments[w.at(1)];
         instrument.name = w[1];
         for (size_t i = 2; i + 1 < w.size(); i += 2) set_symbol_field(instrument, w[i], w[i + 1]);
         return std::string();
       }},
      {"price", [](const Words &w) { // price SYMBOL BID ASK
         broker().set_quote(w.at(1), real(w, 2), real(w, 3));
         main_loop().tick_arrived = true;
         return std::string();
       }},
      {"fault", [](const Words &w) { // fault RETCODE exec|noexec|later [TIMES]
         for (int i = 0; i < (w.size() > 3 ? whole(w, 3) : 1); i++)
           broker().faults.push_back({static_cast<unsigned>(whole(w, 1)), w.at(2)});
         return std::string();
       }},
      {"hide_results", [](const Words &w) { broker().hide_results = whole(w, 1); return std::string(); }},
      {"settle", [](const Words &) { broker().settle(); return std::string(); }},
      {"latency", [](const Words &w) { // latency MS [TIMES]
         broker().latency_ms = whole(w, 1);
         broker().slow_sends = w.size() > 2 ? whole(w, 2) : -1;
         return std::string();
       }},
      {"swallow", [](const Words &) { // the answer to the next trade is lost on its way
         broker().swallow_next_reply = true;
         return std::string();
       }},
      {"partial", [](const Words &w) { broker().partial_fraction = real(w, 1); return std::string(); }},
      {"rewrite_comments", [](const Words &w) { broker().rewrite_comments = whole(w, 1); return std::string(); }},
      {"permission", [](const Words &w) { set_permission(w.at(1), whole(w, 2)); return std::string(); }},
      {"account", [](const Words &w) { // account mode|margin|login VALUE
         if (w.at(1) == "mode") broker().account_mode = whole(w, 2);
         else if (w[1] == "margin") broker().margin_mode = whole(w, 2);
         else broker().login = whole(w, 2);
         return std::string();
       }},
      {"deposit", [](const Words &w) { broker().deposit(real(w, 1)); return std::string(); }},
      {"by_hand", [](const Words &w) { // by_hand SYMBOL 0|1 VOLUME [TIMES]
         broker().bulk = true;
         uint64_t ticket = 0;
         for (int i = 0; i < (w.size() > 4 ? whole(w, 4) : 1); i++)
           ticket = broker().open_by_hand(w.at(1), whole(w, 2), real(w, 3));
         broker().bulk = false;
         broker().save();
         return std::to_string(ticket);
       }},
      {"transactions", [](const Words &w) { queue_transactions(w.at(1)); return std::string(); }},
      {"crash", [](const Words &w) { // crash now|before_send|after_send
         if (w.at(1) == "now") crash();
         (w[1] == "before_send" ? broker().crash_before_send : broker().crash_after_send) = true;
         return std::string();
       }},
      {"reinit", [](const Words &w) { return std::to_string(main_loop().reinitialise(whole(w, 1))); }},
      {"click", [](const Words &w) { main_loop().clicks.push_back(w.at(1)); return std::string(); }},
      {"advance", [](const Words &w) { clock.skipped_ms += std::stoll(w.at(1)); broker().check_expirations(); return std::string(); }},
      {"wall", [](const Words &w) { clock.wall_shift_ms += std::stoll(w.at(1)); return std::string(); }},
      {"freeze", [](const Words &w) { whole(w, 1) ? clock.freeze() : clock.thaw(); return std::string(); }},
      {"files", [](const Words &w) { // files writes_fail|opens_fail 0|1
         (w.at(1) == "writes_fail" ? platform_faults.file_writes_fail : platform_faults.file_opens_fail) = whole(w, 2);
         return std::string();
       }},
      {"panel", [](const Words &) { return panel_text(); }},
      {"stats", [](const Words &) {
         return std::to_string(broker().send_count) + " " + std::to_string(main_loop().timer_calls) + " " +
                std::to_string(main_loop().longest_timer_us) + " " + std::to_string(main_loop().longest_cpu_us);
       }},
      {"clear_stats", [](const Words &) { main_loop().longest_timer_us = main_loop().longest_cpu_us = 0; return std::string(); }},
  };
  return table;
}

void run_line(const std::string &line) {
  std::istringstream text(line);
  Words words;
  for (std::string word; text >> word;) words.push_back(word);
  std::string answer;
  try {
    answer = "ok " + commands().at(words.at(0))(words);
  } catch (const std::exception &problem) {
    answer = "error " + line + ": " + problem.what();
  }
  printf("%s\n", answer.c_str());
  fflush(stdout);
}

} // namespace

void serve_control(int wait_ms) {
  static std::string pending;
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (::poll(&input, 1, wait_ms) <= 0) return;
  char buffer[4096];
  ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
  if (got <= 0) {
    stop_wanted = true;
    return;
  }
  pending.append(buffer, static_cast<size_t>(got));
  for (size_t end; (end = pending.find('\n')) != std::string::npos;) {
    std::string line = pending.substr(0, end);
    pending.erase(0, end + 1);
    run_line(line);
  }
}

} // namespace bench
