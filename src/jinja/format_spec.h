// Python's format specifications, as '{:>8.2f}' has them and as '%8.2f' is turned into one.
#pragma once

#include "jinja/runtime.h"

#include <string>
#include <string_view>

namespace ingrain::jinja {

struct FormatSpec {
  std::string fill = " ";
  char align = 0;  // < > ^ =, or 0 for the type's own
  char sign = '-';
  bool has_sign = false, no_negative_zero = false, alternate = false;
  int64_t width = -1, precision = -1;
  char grouping = 0, type = 0;
};

/// Error for what is no specification. Widths and precisions are bounded.
FormatSpec parse_format_spec(std::string_view text);

/// format(value, spec).
std::string format_value(Runtime& runtime, const Value& value, std::string_view spec);
/// `digits` (decimal, signed) as d, x, X, o, b or n; `value` as e, f, g or %.
std::string format_integer(Runtime& runtime, const Value& value, FormatSpec spec);
std::string format_float(Runtime& runtime, double value, FormatSpec spec);
/// A text cut to the precision and padded to the width.
std::string format_text(Runtime& runtime, std::string_view text, const FormatSpec& spec);
/// The character of a number.
std::string character_text(const Value& number);
/// repr() with characters outside ASCII as escapes.
std::string ascii_of(Runtime& runtime, const Value& value);

/// int(text) and float(text): nothing where Python raises ValueError.
std::optional<Value> parse_integer(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);
/// float.fromhex(text); infinite where Python overflows.
std::optional<double> parse_hex_float(std::string_view text);

}  // namespace ingrain::jinja
