// StringFormat and Print. A wrong specifier ends the program: MQL5 would print a wrong number, silently, into a trade or a log.
#include <cstdio>
#include <cstring>
#include "mql.h"

namespace mql {

static void check_integer(const FormatArgument &argument, const std::string &size, const std::string &format) {
  using A = FormatArgument;
  if (argument.kind == A::Text || argument.kind == A::Real)
    critical_error("StringFormat: integer specifier for another type in " + format);
  bool wide = argument.kind == A::Signed64 || argument.kind == A::Unsigned64;
  if (wide != (size == "I64")) critical_error("StringFormat: 64-bit numbers need %I64, others must not have it: " + format);
}

string format_text(const string &pattern, const std::vector<FormatArgument> &arguments) {
  std::string format = to_utf8(pattern), out;
  size_t used = 0;
  for (size_t i = 0; i < format.size(); i++) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    if (format[i + 1] == '%') {
      out += '%';
      i++;
      continue;
    }
    std::string specifier = "%", size;
    for (i++; i < format.size() && strchr("-+ #0123456789.", format[i]); i++) specifier += format[i];
    if (format.compare(i, 3, "I64") == 0) {
      size = "I64";
      i += 3;
    }
    if (used >= arguments.size()) critical_error("StringFormat: too few arguments for " + format);
    const FormatArgument &argument = arguments[used++];
    char kind = i < format.size() ? format[i] : '\0', buffer[512];
    if (kind == 's') {
      if (argument.kind != FormatArgument::Text) critical_error("StringFormat: %s needs a string in " + format);
      std::string text = to_utf8(argument.text);
      if (specifier == "%") {
        out += text;
        continue;
      }
      snprintf(buffer, sizeof buffer, (specifier + "s").c_str(), text.c_str());
    } else if (kind && strchr("diuxX", kind)) {
      check_integer(argument, size, format);
      snprintf(buffer, sizeof buffer, (specifier + "l" + kind).c_str(), argument.whole);
    } else if (kind && strchr("feEgG", kind)) {
      if (argument.kind != FormatArgument::Real) critical_error("StringFormat: a double is needed in " + format);
      snprintf(buffer, sizeof buffer, (specifier + kind).c_str(), argument.real);
    } else {
      critical_error("StringFormat: unknown specifier in " + format);
    }
    out += buffer;
  }
  if (used != arguments.size()) critical_error("StringFormat: too many arguments for " + format);
  return from_utf8(out);
}

void print_line(const std::vector<FormatArgument> &arguments) {
  std::string line;
  for (const FormatArgument &argument : arguments) {
    char buffer[40];
    switch (argument.kind) {
    case FormatArgument::Text: line += to_utf8(argument.text); break;
    case FormatArgument::Boolean: line += argument.whole ? "true" : "false"; break;
    case FormatArgument::Real:
      snprintf(buffer, sizeof buffer, "%.16g", argument.real);
      line += buffer;
      break;
    case FormatArgument::Unsigned32:
    case FormatArgument::Unsigned64: line += std::to_string(static_cast<ulong>(argument.whole)); break;
    default: line += std::to_string(argument.whole);
    }
  }
  fprintf(stderr, "EA: %s\n", line.c_str());
}

} // namespace mql
