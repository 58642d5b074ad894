// The seam between the translated program and the bench: its handlers, its inputs, its DLL imports.
#pragma once
#include <map>
#include <type_traits>
#include "mql_structs.h"

namespace mql {

struct Handlers {
  int (*OnInit)() = nullptr;
  void (*OnDeinit)(const int) = nullptr;
  void (*OnTick)() = nullptr;
  void (*OnTimer)() = nullptr;
  void (*OnTradeTransaction)(const MqlTradeTransaction &, const MqlTradeRequest &, const MqlTradeResult &) = nullptr;
  void (*OnChartEvent)(const int, const long &, const double &, const string &) = nullptr;
};
Handlers program_handlers();

// An input registers itself at start-up; a .set file changes it before OnInit.
class InputVariable {
public:
  template <class T> InputVariable(const char *name, T &variable) { add(name, &variable, assign<T>); }
  static bool set(const std::string &name, const std::string &value);

private:
  using Assign = void (*)(void *, const std::string &);
  static void add(const char *name, void *variable, Assign assign);
  static std::map<std::string, std::pair<void *, Assign>> &all();
  template <class T> static void assign(void *variable, const std::string &value) {
    if constexpr (std::is_same_v<T, string>)
      *static_cast<string *>(variable) = from_utf8(value);
    else if constexpr (std::is_same_v<T, bool>)
      *static_cast<bool *>(variable) = value == "true" || value == "1";
    else if constexpr (std::is_floating_point_v<T>)
      *static_cast<T *>(variable) = std::stod(value);
    else
      *static_cast<T *>(variable) = static_cast<T>(std::stoll(value));
  }
};

// Ends the process with code 78 when library or symbol is missing, as the terminal stops a program at load.
void *library_symbol(const char *library, const char *symbol);

} // namespace mql
