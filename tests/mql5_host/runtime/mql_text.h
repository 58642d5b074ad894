// MQL5's simple types and its string: UTF-16, compared by value, and never made from a number without being told so.
#pragma once
#include <cstdint>
#include <string>

namespace mql {

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
using datetime = long;
using color = unsigned int;
static_assert(sizeof(long) == 8, "MQL5's long has 64 bits");

// MetaTrader stops a program that does this; the bench ends the process with a stack trace and code 77.
[[noreturn]] void critical_error(const std::string &what);

class string {
public:
  std::u16string units;

  string() = default;
  string(const char16_t *text, size_t length) : units(text, length) {}
  explicit string(std::u16string text) : units(std::move(text)) {}
  // MetaEditor converts numbers silently or with a warning, and loses digits doing it.
  string(double) = delete;
  string(long) = delete;
  string(int) = delete;
  string(bool) = delete;
  string(const char *) = delete;

  ushort operator[](int index) const {
    if (index < 0 || static_cast<size_t>(index) >= units.size()) critical_error("string index out of range");
    return units[static_cast<size_t>(index)];
  }
  string &operator+=(const string &other) {
    units += other.units;
    return *this;
  }
  friend string operator+(const string &left, const string &right) { return string(left.units + right.units); }
  friend bool operator==(const string &left, const string &right) { return left.units == right.units; }
  friend bool operator!=(const string &left, const string &right) { return left.units != right.units; }
  friend bool operator<(const string &left, const string &right) { return left.units < right.units; }
  friend bool operator>(const string &left, const string &right) { return left.units > right.units; }
};

inline string operator""_s(const char16_t *text, size_t length) { return string(text, length); }

std::string to_utf8(const string &text);
string from_utf8(const std::string &bytes);
datetime date_literal(const char *text);
color color_literal(const char *text);

} // namespace mql
