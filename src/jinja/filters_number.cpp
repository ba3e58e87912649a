// Filters that give numbers, and numbers read from texts.
#include "jinja/format_spec.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <charconv>
#include <cmath>

namespace ingrain::jinja {
namespace {

/// Decimal digits of any script as ASCII's, single underscores between digits left out; nothing where one stands
/// elsewhere.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string out;
  const auto is_digit_like = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (c == '_') {
      if (out.empty() || !is_digit_like(out.back()) || at >= text.size()) return std::nullopt;
      size_t after = at;
      const char32_t next = next_character(text, after);
      if (decimal_value(next) < 0 && !(next < 0x80 && is_digit_like(static_cast<char>(next)))) return std::nullopt;
    } else if (const int digit = decimal_value(c); digit >= 0) {
      out += static_cast<char>('0' + digit);
    } else if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<Value> from_base(std::string_view digits, int base, bool negative) {
  if (digits.empty()) return std::nullopt;
  for (const char c : digits) {
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 10
                      : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                             : 36;
    if (value >= base) return std::nullopt;
  }
  if (base == 10) {
    if (digits.size() > 4300) return std::nullopt;
    return Value::integer((negative ? "-" : "") + std::string(digits));
  }
  WideInteger number = 0;
  for (const char c : digits) {
    const int value = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
    const bool overflow = __builtin_mul_overflow(number, WideInteger{base}, &number) ||
                          __builtin_add_overflow(number, WideInteger{value}, &number);
    require(!overflow, "int: the number exceeds 64 bits by far");
  }
  return Value::integer(negative ? -number : number);
}

Value truncated(double number) {
  return Value::integer(fmt::format("{:.0f}", std::trunc(number) == 0 ? 0.0 : std::trunc(number)));
}

Value filter_int(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("int", a, {"default", "base"});
  refuse_undefined(x);
  Value otherwise = p[0] ? *p[0] : Value(int64_t{0});
  if (is_integer(x)) return positive(x);
  if (const double* d = x.as_double()) {
    require(!std::isinf(*d), "int: infinity is no integer");
    return std::isnan(*d) ? otherwise : truncated(*d);
  }
  const std::string* text = x.as_text();
  if (!text) return otherwise;
  rt.charge(text->size());
  const int64_t base = !p[1] ? 10 : is_integer(*p[1]) ? p.integer(1, 10) : -1;
  if (base == 0 || (base >= 2 && base <= 36))
    if (auto out = parse_integer(*text, static_cast<int>(base))) return *std::move(out);
  const auto number = parse_float(*text);
  return number && std::isfinite(*number) ? truncated(*number) : otherwise;
}

Value filter_float(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("float", a, {"default"});
  refuse_undefined(x);
  if (const auto number = number_of(x)) {
    require(x.as_double() || std::isfinite(*number), "float: an integer is too large");
    return *number;
  }
  if (const std::string* text = x.as_text()) {
    rt.charge(text->size());
    if (const auto number = parse_float(*text)) return *number;
  }
  return p[0] ? *p[0] : Value(0.0);
}

Value filter_abs(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("abs", a, {});
  rt.charge(1);
  if (const double* d = x.as_double()) return std::abs(*d);
  refuse_undefined(x);
  require(is_integer(x), "abs: not a number but {}", type_name(x));
  return digits_of(x)[0] == '-' ? negative(x) : positive(x);
}

/// The digits without the last `count`, rounded half to even and filled up with zeros again.
std::string rounded_digits(std::string digits, size_t count, bool more_follows) {
  if (digits.size() < count) return "0";
  const std::string dropped = digits.substr(digits.size() - count);
  digits.erase(digits.size() - count);
  if (digits.empty()) digits = "0";
  const bool above =
      dropped[0] > '5' || (dropped[0] == '5' && (more_follows || dropped.find_first_not_of('0', 1) != dropped.npos));
  const bool half = dropped[0] == '5' && !above;
  if (above || (half && (digits.back() - '0') % 2 == 1)) {
    size_t at = digits.size();
    while (at > 0 && digits[at - 1] == '9') digits[--at] = '0';
    if (at > 0)
      ++digits[at - 1];
    else
      digits.insert(0, 1, '1');
  }
  return digits + std::string(count, '0');
}

Value round_integer(const Value& x, int64_t precision) {
  if (precision >= 0) return positive(x);
  const std::string digits = digits_of(x);
  const bool negative = digits[0] == '-';
  require(precision > -10000, "round: a precision of {}", precision);
  return Value::integer((negative ? "-" : "") +
                        rounded_digits(digits.substr(negative), static_cast<size_t>(-precision), false));
}

double round_float(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 330) return value;
  if (precision < -330) return std::copysign(0.0, value);
  // What is printed is rounded by its exact binary value, half to even, as Python does.
  if (precision >= 0) {
    const double out = std::stod(fmt::format("{:.{}f}", value, precision));
    require(std::isfinite(out), "round: the result is too large");
    return out;
  }
  const double whole = std::trunc(std::abs(value));
  const std::string digits =
      rounded_digits(fmt::format("{:.0f}", whole), static_cast<size_t>(-precision), std::abs(value) != whole);
  return std::copysign(std::strtod(digits.c_str(), nullptr), value);
}

Value filter_round(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("round", a, {"precision", "method"});
  rt.charge(64);
  const std::string_view method = p.text(1).value_or(p[1] ? "none" : "common");
  require(method == "common" || method == "ceil" || method == "floor", "round: method '{}'", method);
  const bool whole_number = !p[0] || p[0]->is_none();
  const int64_t precision = whole_number && method == "common" ? 0 : p.integer(0, 0);
  refuse_undefined(x);
  require(x.is_number(), "round: not a number but {}", type_name(x));
  if (method == "common") {
    if (is_integer(x)) return round_integer(x, precision);
    if (p[0] && p[0]->is_none()) {
      require(std::isfinite(*x.as_double()), "round: not a finite number");
      return truncated(std::nearbyint(*x.as_double()));
    }
    return round_float(*x.as_double(), precision);
  }
  require(precision >= -300 && precision <= 300, "round: a precision of {}", precision);
  const Value scale = arithmetic(rt, "**", int64_t{10}, precision);
  const Value scaled = arithmetic(rt, "*", x, scale);
  if (is_integer(scaled)) return arithmetic(rt, "/", scaled, scale);
  const double number = *scaled.as_double();
  require(std::isfinite(number), "round: not a finite number");
  return arithmetic(rt, "/", truncated(method == "ceil" ? std::ceil(number) : std::floor(number)), scale);
}

Value filter_filesizeformat(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("filesizeformat", a, {"binary"});
  refuse_undefined(x);
  rt.charge(64);
  const auto number = x.as_text() ? parse_float(*x.as_text()) : number_of(x);
  require(number.has_value(), "filesizeformat: not a number but {}", type_name(x));
  const bool binary = p.flag(0, false);
  const double base = binary ? 1024 : 1000;
  if (*number == 1) return "1 Byte";
  if (*number < base) return Value(digits_of(truncated(*number)) + " Bytes");
  const std::string_view units = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0; i < units.size(); ++i) {
    unit *= base;
    if (*number < unit || i + 1 == units.size())
      return Value(
          fmt::format("{:.1f} {}{}B", base * *number / unit, binary && i == 0 ? 'K' : units[i], binary ? "i" : ""));
  }
  return Value();
}

}  // namespace

std::optional<Value> parse_integer(std::string_view text, int base) {
  text = strip(text, Side::Both);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string prefix = text.size() > 2 && text[0] == '0' ? std::string{'0', static_cast<char>(text[1] | 32)} : "";
  const int named = prefix == "0x" ? 16 : prefix == "0o" ? 8 : prefix == "0b" ? 2 : 0;
  const bool prefixed = named != 0 && (base == named || base == 0);
  if (prefixed) {
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  }
  const auto digits = plain_digits(text);
  if (!digits) return std::nullopt;
  const bool leading_zero =
      base == 0 && !prefixed && digits->starts_with('0') && digits->find_first_not_of('0') != digits->npos;
  if (leading_zero) return std::nullopt;
  return from_base(*digits, base != 0 ? base : prefixed ? named : 10, negative);
}

std::optional<double> parse_float(std::string_view text) {
  const auto digits = plain_digits(strip(text, Side::Both));
  if (!digits) return std::nullopt;
  std::string_view number = *digits;
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.remove_prefix(1);
  const std::string word = lower(number);
  const double sign = negative ? -1.0 : 1.0;
  if (word == "inf" || word == "infinity") return sign * HUGE_VAL;
  if (word == "nan") return std::copysign(std::nan(""), sign);
  if (number.empty() || number.find_first_not_of("0123456789.eE+-") != number.npos || number[0] == '+' ||
      number[0] == '-')
    return std::nullopt;
  double out = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out);
  if (end != number.data() + number.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) out = std::strtod(std::string(number).c_str(), nullptr);
  return sign * out;
}

std::optional<double> parse_hex_float(std::string_view text) {
  std::string number = lower(strip(text, Side::Both));
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.erase(0, 1);
  const double sign = negative ? -1.0 : 1.0;
  if (number == "inf" || number == "infinity") return sign * HUGE_VAL;
  if (number == "nan") return std::copysign(std::nan(""), sign);
  if (number.starts_with("0x")) number.erase(0, 2);
  const auto skip = [&](size_t at, std::string_view letters) {
    return std::min(number.find_first_not_of(letters, at), number.size());
  };
  constexpr std::string_view kHex = "0123456789abcdef", kDecimal = "0123456789";
  size_t at = skip(0, kHex), digits = at;
  if (at < number.size() && number[at] == '.') {
    const size_t end = skip(at + 1, kHex);
    digits += end - at - 1;
    at = end;
  }
  if (at < number.size() && number[at] == 'p') {
    const size_t first = at + 1 + (at + 1 < number.size() && (number[at + 1] == '+' || number[at + 1] == '-'));
    at = skip(first, kDecimal);
    if (at == first) return std::nullopt;
  }
  if (digits == 0 || at != number.size()) return std::nullopt;
  return sign * std::strtod(("0x" + number).c_str(), nullptr);
}

const FilterTable& number_filters() {
  static const FilterTable table = {{"abs", filter_abs},
                                    {"filesizeformat", filter_filesizeformat},
                                    {"float", filter_float},
                                    {"int", filter_int},
                                    {"round", filter_round}};
  return table;
}

}  // namespace ingrain::jinja
