#include "jinja/format_spec.h"

#include "base/text.h"
#include "jinja/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::jinja {
namespace {

constexpr int64_t kMaxPrecision = 1000;  // a float has no more digits

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

/// Digits at `at`, moving it behind them; -1 if there are none.
int64_t read_number(std::string_view text, size_t& at) {
  if (at >= text.size() || text[at] < '0' || text[at] > '9') return -1;
  int64_t out = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    require(out < (int64_t{1} << 50), "a format's width has too many digits");
    out = out * 10 + (text[at] - '0');
  }
  return out;
}

std::string grouped(std::string_view digits, char separator, size_t size) {
  if (!separator) return std::string(digits);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out += separator;
    out += digits[i];
  }
  return out;
}

/// Zeros before `digits`, grouped too, until both take `width`.
std::string zero_filled(std::string_view digits, char separator, size_t size, int64_t width) {
  const auto total = [&](int64_t count) { return count + (separator ? (count - 1) / static_cast<int64_t>(size) : 0); };
  auto count = static_cast<int64_t>(digits.size());
  if (!separator) count = std::max(count, width);
  while (total(count) < width) ++count;
  return grouped(std::string(static_cast<size_t>(count) - digits.size(), '0') + std::string(digits), separator, size);
}

/// Puts a number's parts together: sign and prefix, integer digits, and what follows them.
std::string assemble(Runtime& runtime, const std::string& prefix, std::string_view digits, std::string_view rest,
                     const FormatSpec& spec, size_t group = 3) {
  if (spec.width > 0) runtime.charge(static_cast<uint64_t>(spec.width));
  runtime.charge(digits.size() * 2);
  if (spec.align == '=' && spec.fill == "0") {
    const auto others = static_cast<int64_t>(prefix.size() + rest.size());
    return prefix + zero_filled(digits, spec.grouping, group, spec.width - others) + std::string(rest);
  }
  const std::string body = grouped(digits, spec.grouping, group) + std::string(rest);
  FormatSpec padding = spec;
  padding.precision = -1;
  if (spec.align == '=') {
    padding.align = '>';
    padding.width = spec.width - static_cast<int64_t>(prefix.size());
    return prefix + format_text(runtime, body, padding);
  }
  if (!spec.align) padding.align = '>';
  return format_text(runtime, prefix + body, padding);
}

std::string sign_text(bool negative, const FormatSpec& spec) {
  return negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
}

std::string digits_in_base(const Value& value, unsigned base, bool capital) {
  const auto wide = wide_integer_of(value);
  require(wide.has_value(), "a format other than decimal of an integer that exceeds 64 bits by far");
  auto left = *wide < 0 ? -static_cast<unsigned __int128>(*wide) : static_cast<unsigned __int128>(*wide);
  std::string out;
  do {
    const auto digit = static_cast<int>(left % base);
    out += static_cast<char>(digit < 10 ? '0' + digit : (capital ? 'A' : 'a') + digit - 10);
    left /= base;
  } while (left != 0);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string printed(const char* format, int64_t precision, double value) {
  std::string out(static_cast<size_t>(precision) + 350, '\0');
  out.resize(static_cast<size_t>(std::snprintf(out.data(), out.size(), format, static_cast<int>(precision), value)));
  return out;
}

/// The shortest text with `precision` digits, as a float without a type has it: at least one digit behind the point.
std::string general_text(double value, int64_t precision) {
  precision = std::max<int64_t>(precision, 1);
  const std::string scientific = printed("%.*e", precision - 1, value);
  const size_t at = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(at + 1));
  const auto trimmed = [](std::string digits) {
    if (digits.find('.') == digits.npos) return digits;
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits;
  };
  if (exponent + 1 <= -4 || exponent + 1 > precision - 1)
    return trimmed(scientific.substr(0, at)) + scientific.substr(at);
  std::string fixed = trimmed(printed("%.*f", precision - 1 - exponent, value));
  return fixed.find('.') == fixed.npos ? fixed + ".0" : fixed;
}

std::string float_digits(double value, const FormatSpec& spec, bool& percent) {
  percent = spec.type == '%';
  if (percent) value *= 100;
  if (!std::isfinite(value)) {
    const bool capital = spec.type == 'F' || spec.type == 'E' || spec.type == 'G';
    return std::isnan(value) ? (capital ? "NAN" : "nan") : capital ? "INF" : "inf";
  }
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  switch (spec.type) {
    case 'e': return printed(spec.alternate ? "%#.*e" : "%.*e", precision, value);
    case 'E': return printed(spec.alternate ? "%#.*E" : "%.*E", precision, value);
    case 'f':
    case 'F':
    case '%': return printed(spec.alternate ? "%#.*f" : "%.*f", precision, value);
    case 'g':
    case 'n': return printed(spec.alternate ? "%#.*g" : "%.*g", precision, value);
    case 'G': return printed(spec.alternate ? "%#.*G" : "%.*G", precision, value);
    case 0: return spec.precision < 0 ? float_text(value) : general_text(value, spec.precision);
    default: fail("the format '{}' does not fit a float", spec.type);
  }
}

}  // namespace

FormatSpec parse_format_spec(std::string_view text) {
  FormatSpec out;
  size_t at = 0;
  size_t first = 0;
  if (!text.empty()) next_character(text, first);
  bool aligned = true;
  if (first > 0 && first < text.size() && is_align(text[first])) {
    out.fill = text.substr(0, first);
    out.align = text[first];
    at = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    out.align = text[0];
    at = 1;
  } else {
    aligned = false;
  }
  const auto skip = [&](char c) { return at < text.size() && text[at] == c && (++at, true); };
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' '))
    out.sign = text[at++], out.has_sign = true;
  out.no_negative_zero = skip('z');
  out.alternate = skip('#');
  const bool filled =
      at > 0 && aligned && first < text.size() && is_align(text[first]) && first > 0 && !(is_align(text[0]) && at == 1);
  if (!filled && skip('0')) {
    out.fill = "0";
    if (!out.align) out.align = '0';  // '=' for numbers; texts stay as they are
  }
  out.width = read_number(text, at);
  if (skip(',')) out.grouping = ',';
  if (skip('_')) require(!out.grouping, "a format has both ',' and '_'"), out.grouping = '_';
  require(!(out.grouping && at < text.size() && (text[at] == ',' || text[at] == '_')), "a format has two separators");
  if (skip('.')) {
    out.precision = read_number(text, at);
    require(out.precision >= 0, "a format's precision is missing");
  }
  require(text.size() - at <= 1, "'{}' is no format specification", printable(text));
  if (at < text.size()) out.type = text[at];
  return out;
}

std::string format_text(Runtime& runtime, std::string_view text, const FormatSpec& spec) {
  runtime.charge(text.size());
  if (spec.precision >= 0)
    if (const auto cut = byte_offset(text, static_cast<size_t>(spec.precision))) text = text.substr(0, *cut);
  const auto size = static_cast<int64_t>(count_characters(text));
  const int64_t missing = std::max<int64_t>(spec.width - size, 0);
  runtime.charge(static_cast<uint64_t>(missing) * spec.fill.size());
  const int64_t left = spec.align == '>' ? missing : spec.align == '^' ? missing / 2 : 0;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += spec.fill;
  return out;
}

std::string character_text(const Value& number) {
  const auto code = integer_of(number);
  require(code && *code >= 0 && *code <= 0x10FFFF && (*code < 0xD800 || *code >= 0xE000),
          "the format 'c' needs the number of a character");
  std::string out;
  append_character(out, static_cast<char32_t>(*code));
  return out;
}

std::string format_integer(Runtime& runtime, const Value& value, FormatSpec spec) {
  if (std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type) {
    const double number = *number_of(value);
    require(std::isfinite(number), "an integer is too large for a float");
    return format_float(runtime, number, spec);
  }
  require(spec.precision < 0, "a format of an integer has no precision");
  require(!spec.no_negative_zero, "'z' does not fit an integer");
  if (spec.type == 'c') {
    require(!spec.has_sign && !spec.alternate && !spec.grouping, "the format 'c' takes no sign, '#' or separator");
    FormatSpec padding = spec;
    if (!spec.align || spec.align == '0' || spec.align == '=') padding.align = '>';
    return format_text(runtime, character_text(value), padding);
  }
  if (spec.align == '0') spec.align = '=';
  const std::string decimal = digits_of(value);
  const std::string sign = sign_text(decimal[0] == '-', spec);
  const char type = spec.type ? spec.type : 'd';
  if (type == 'd' || type == 'n') {
    require(type == 'd' || !spec.grouping, "a separator does not fit the format 'n'");
    return assemble(runtime, sign, std::string_view(decimal).substr(decimal[0] == '-'), "", spec);
  }
  const unsigned base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 0;
  require(base != 0, "the format '{}' does not fit an integer", printable(std::string_view(&type, 1)));
  require(spec.grouping != ',', "',' does not fit the format '{}'", type);
  const std::string prefix = spec.alternate ? std::string("0") + type : "";
  return assemble(runtime, sign + prefix, digits_in_base(value, base, type == 'X'), "", spec, 4);
}

std::string format_float(Runtime& runtime, double value, FormatSpec spec) {
  if (spec.align == '0') spec.align = '=';
  require(spec.precision <= kMaxPrecision, "a precision of more than {}", kMaxPrecision);
  require(!(spec.type == 'n' && spec.grouping), "a separator does not fit the format 'n'");
  runtime.charge(400);
  bool percent = false;
  std::string text = float_digits(std::abs(value), spec, percent);
  bool negative = std::signbit(value) && !std::isnan(value);
  if (spec.no_negative_zero && text.find_first_of("123456789in") == text.npos) negative = false;
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string rest = text.substr(digits) + (percent ? "%" : "");
  if (digits == 0) {  // inf, nan
    FormatSpec plain = spec;
    plain.grouping = 0;
    return assemble(runtime, sign_text(negative, spec), rest, "", plain);
  }
  return assemble(runtime, sign_text(negative, spec), std::string_view(text).substr(0, digits), rest, spec);
}

std::string format_value(Runtime& runtime, const Value& value, std::string_view text) {
  if (text.empty()) return text_of(runtime, value);
  require(value.as_text() || value.is_number(), "a value of type {} takes no format specification", type_name(value));
  FormatSpec spec = parse_format_spec(text);
  if (const double* number = value.as_double()) return format_float(runtime, *number, spec);
  if (value.is_number()) return format_integer(runtime, value, spec);
  require(spec.type == 0 || spec.type == 's', "the format '{}' does not fit a string", printable(text));
  require(spec.align != '=' && !spec.alternate && !spec.grouping && !spec.no_negative_zero && !spec.has_sign,
          "the format '{}' does not fit a string", printable(text));
  if (spec.align == '0') spec.align = '<';
  return format_text(runtime, *value.as_text(), spec);
}

std::string ascii_of(Runtime& runtime, const Value& value) {
  const std::string repr = repr_of(runtime, value);
  runtime.charge(repr.size() * 4);
  std::string out;
  for (size_t at = 0; at < repr.size();) {
    const auto c = static_cast<uint32_t>(next_character(repr, at));
    out += c < 0x80      ? std::string(1, static_cast<char>(c))
           : c < 0x100   ? fmt::format("\\x{:02x}", c)
           : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                         : fmt::format("\\U{:08x}", c);
  }
  return out;
}

}  // namespace ingrain::jinja
