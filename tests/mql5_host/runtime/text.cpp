// Strings and their conversions: UTF-16 inside, UTF-8 at the edges.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include "mql.h"

namespace mql {

static void append_utf8(std::string &out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 63));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 63));
    out += static_cast<char>(0x80 | (point & 63));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 63));
    out += static_cast<char>(0x80 | ((point >> 6) & 63));
    out += static_cast<char>(0x80 | (point & 63));
  }
}

std::string to_utf8(const string &text) {
  std::string out;
  const auto &units = text.units;
  for (size_t i = 0; i < units.size(); i++) {
    uint32_t point = units[i];
    bool pair = point >= 0xD800 && point < 0xDC00 && i + 1 < units.size();
    if (pair && units[i + 1] >= 0xDC00 && units[i + 1] < 0xE000)
      point = 0x10000 + ((point - 0xD800) << 10) + (static_cast<uint32_t>(units[++i]) - 0xDC00);
    else if (point >= 0xD800 && point < 0xE000)
      point = 0xFFFD;
    append_utf8(out, point);
  }
  return out;
}

string from_utf8(const std::string &bytes) {
  std::u16string units;
  for (size_t i = 0; i < bytes.size();) {
    auto first = static_cast<uchar>(bytes[i++]);
    int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    uint32_t point = more == 0 ? first : more == 1 ? first & 31u : more == 2 ? first & 15u : first & 7u;
    for (; more > 0 && i < bytes.size(); more--) point = (point << 6) | (static_cast<uchar>(bytes[i++]) & 63u);
    if (point >= 0x10000) {
      point -= 0x10000;
      units += static_cast<char16_t>(0xD800 + (point >> 10));
      units += static_cast<char16_t>(0xDC00 + (point & 1023));
    } else {
      units += static_cast<char16_t>(point);
    }
  }
  return string(std::move(units));
}

int StringLen(const string &text) { return static_cast<int>(text.units.size()); }

ushort StringGetCharacter(const string &text, int position) {
  return position < 0 || position >= StringLen(text) ? ushort(0) : text[position];
}

string ShortToString(ushort unit) { return string(std::u16string(1, static_cast<char16_t>(unit))); }

string StringSubstr(const string &text, int start, int length) {
  if (start < 0 || start > StringLen(text)) return string();
  return string(text.units.substr(static_cast<size_t>(start), length < 0 ? std::u16string::npos : size_t(length)));
}

int StringFind(const string &text, const string &match, int start) {
  auto found = text.units.find(match.units, start < 0 ? 0 : static_cast<size_t>(start));
  return found == std::u16string::npos ? -1 : static_cast<int>(found);
}

int StringReplace(string &text, const string &find, const string &replacement) {
  int count = 0;
  size_t at = 0;
  while (!find.units.empty() && (at = text.units.find(find.units, at)) != std::u16string::npos) {
    text.units.replace(at, find.units.size(), replacement.units);
    at += replacement.units.size();
    count++;
  }
  return count;
}

int StringSplit(const string &text, ushort separator, Array<string> &result) {
  result.items.clear();
  std::u16string part;
  for (char16_t unit : text.units) {
    if (unit == separator) {
      result.items.push_back(string(part));
      part.clear();
    } else {
      part += unit;
    }
  }
  result.items.push_back(string(part));
  return ArraySize(result);
}

static bool is_space(char16_t unit) { return unit == ' ' || unit == '\t' || unit == '\r' || unit == '\n'; }

int StringTrimLeft(string &text) {
  size_t count = 0;
  while (count < text.units.size() && is_space(text.units[count])) count++;
  text.units.erase(0, count);
  return static_cast<int>(count);
}

int StringTrimRight(string &text) {
  int count = 0;
  while (!text.units.empty() && is_space(text.units.back())) {
    text.units.pop_back();
    count++;
  }
  return count;
}

bool StringToUpper(string &text) {
  for (auto &unit : text.units)
    if (unit >= 'a' && unit <= 'z') unit = static_cast<char16_t>(unit - 32);
  return true;
}

bool StringToLower(string &text) {
  for (auto &unit : text.units)
    if (unit >= 'A' && unit <= 'Z') unit = static_cast<char16_t>(unit + 32);
  return true;
}

string IntegerToString(long number, int length, ushort fill) {
  std::string digits = std::to_string(number);
  std::u16string units(digits.begin(), digits.end());
  while (static_cast<int>(units.size()) < length) units.insert(units.begin(), static_cast<char16_t>(fill));
  return string(units);
}

string DoubleToString(double value, int digits) {
  char buffer[400];
  snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return from_utf8(buffer);
}

double StringToDouble(const string &text) { return std::strtod(to_utf8(text).c_str(), nullptr); }
long StringToInteger(const string &text) { return std::strtoll(to_utf8(text).c_str(), nullptr, 10); }

int StringToCharArray(const string &text, Array<uchar> &array, int start, int count, uint) {
  std::string bytes = to_utf8(text);
  if (count < 0)
    bytes.push_back('\0'); // the terminator is copied unless a count is given
  else if (static_cast<int>(bytes.size()) > count)
    bytes.resize(static_cast<size_t>(count));
  size_t end = static_cast<size_t>(start) + bytes.size();
  if (array.items.size() < end) { // grows, never shrinks
    if (array.is_fixed)
      bytes.resize(array.items.size() - static_cast<size_t>(start));
    else
      array.items.resize(end);
  }
  if (!bytes.empty()) memcpy(array.items.data() + start, bytes.data(), bytes.size());
  return static_cast<int>(bytes.size());
}

string CharArrayToString(const Array<uchar> &array, int start, int count, uint) {
  int available = ArraySize(array) - start;
  if (count < 0 || count > available) count = available;
  std::string bytes;
  for (int i = 0; i < count && array[start + i] != 0; i++) bytes += static_cast<char>(array[start + i]);
  return from_utf8(bytes);
}

static struct tm split_time(datetime value) {
  time_t seconds = value;
  struct tm parts = {};
  gmtime_r(&seconds, &parts);
  return parts;
}

string TimeToString(datetime value, int mode) {
  struct tm parts = split_time(value);
  char buffer[32];
  std::string out;
  if (mode & TIME_DATE) {
    strftime(buffer, sizeof buffer, "%Y.%m.%d", &parts);
    out = buffer;
  }
  if (mode & (TIME_MINUTES | TIME_SECONDS)) {
    strftime(buffer, sizeof buffer, (mode & TIME_SECONDS) ? "%H:%M:%S" : "%H:%M", &parts);
    out += (out.empty() ? "" : " ") + std::string(buffer);
  }
  return from_utf8(out);
}

bool TimeToStruct(datetime value, MqlDateTime &parts) {
  struct tm split = split_time(value);
  parts = {split.tm_year + 1900, split.tm_mon + 1, split.tm_mday, split.tm_hour,
           split.tm_min,         split.tm_sec,     split.tm_wday, split.tm_yday};
  return true;
}

datetime date_literal(const char *text) {
  struct tm parts = {};
  sscanf(text, "%d.%d.%d %d:%d:%d", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min,
         &parts.tm_sec);
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return timegm(&parts);
}

color color_literal(const char *text) {
  unsigned red = 0, green = 0, blue = 0;
  sscanf(text, "%u,%u,%u", &red, &green, &blue);
  return red | green << 8 | blue << 16;
}

double NormalizeDouble(double value, int digits) {
  double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

} // namespace mql
