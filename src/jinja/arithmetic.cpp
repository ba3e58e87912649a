// Arithmetic: numbers, and what sequences and sets know of it.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <cmath>
#include <limits>

namespace ingrain::jinja {
namespace {

constexpr std::string_view kTooLarge = "an integer exceeds 64 bits by far: 127 are computed with";

WideInteger floor_divide(WideInteger a, WideInteger b) {
  require(b != 0, "division by zero");
  const WideInteger quotient = a / b;
  return quotient - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

WideInteger integer_power(WideInteger base, WideInteger exponent) {
  WideInteger out = 1;
  bool overflow = false;
  while (exponent > 0 && !overflow) {
    if (exponent & 1) overflow = __builtin_mul_overflow(out, base, &out);
    exponent >>= 1;
    if (base == 0 && exponent > 0) return 0;
    if (base == 0 || base == 1) break;
    if (exponent > 0 && !overflow) overflow = __builtin_mul_overflow(base, base, &base);
  }
  require(!overflow, "{}", kTooLarge);
  return out;
}

/// a / b, rounded once: halves to even.
double true_quotient(WideInteger a, WideInteger b) {
  require(b != 0, "division by zero");
  __extension__ typedef unsigned __int128 Bits;
  const bool negative = (a < 0) != (b < 0);
  const Bits top = a < 0 ? -static_cast<Bits>(a) : static_cast<Bits>(a);
  const Bits bottom = b < 0 ? -static_cast<Bits>(b) : static_cast<Bits>(b);
  if (top == 0) return negative ? -0.0 : 0.0;
  Bits quotient = top / bottom, rest = top % bottom;
  int exponent = 0;
  for (; quotient >> 60 == 0; --exponent) {  // more bits than a double has, so that the last one may stand for the rest
    rest <<= 1;
    quotient = quotient << 1 | (rest >= bottom ? 1 : 0);
    if (rest >= bottom) rest -= bottom;
  }
  const double out = std::ldexp(static_cast<double>(quotient | (rest != 0 ? 1 : 0)), exponent);
  return negative ? -out : out;
}

Value integer_arithmetic(std::string_view op, WideInteger a, WideInteger b) {
  WideInteger out = 0;
  bool overflow = false;
  if (op == "+")
    overflow = __builtin_add_overflow(a, b, &out);
  else if (op == "-")
    overflow = __builtin_sub_overflow(a, b, &out);
  else if (op == "*")
    overflow = __builtin_mul_overflow(a, b, &out);
  else if (op == "//")
    out = floor_divide(a, b);
  else if (op == "%")
    out = b == -1 ? 0 : a - floor_divide(a, b) * b;
  else if (op == "/")
    return true_quotient(a, b);
  else if (b >= 0)
    out = integer_power(a, b);
  else
    return require(a != 0, "division by zero"), std::pow(static_cast<double>(a), static_cast<double>(b));
  require(!overflow, "{}", kTooLarge);
  return Value::integer(out);
}

Value float_power(double a, double b) {
  require(a >= 0 || std::isnan(a) || std::isinf(b) || std::nearbyint(b) == b || std::isnan(b),
          "a root of a negative number");
  require(a != 0 || b >= 0 || std::isnan(b), "division by zero");
  const double out = std::pow(a, b);
  require(!std::isinf(out) || std::isinf(a) || std::isinf(b), "the result of '**' is too large");
  return out;
}

Value float_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return float_power(a, b);
  require(b != 0, "division by zero");
  if (op == "/") return a / b;
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b, quotient -= 1;
  if (op == "%") return rest == 0 ? std::copysign(0.0, b) : rest;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

double finite_number(const Value& value) {
  const double out = *number_of(value);
  require(value.as_double() || !std::isinf(out), "an integer is too large for a float");
  return out;
}

Value repeated(Runtime& runtime, const Value& sequence, const Value& times) {
  const auto number = integer_of(times);
  require(number.has_value(), "a repetition is too long");
  const uint64_t count = *number > 0 ? static_cast<uint64_t>(*number) : 0;
  const std::string* text = sequence.as_text();
  const size_t size = text ? text->size() : sequence.as_list()->items.size() * sizeof(Value);
  uint64_t total = 0;
  require(!__builtin_mul_overflow(count, size, &total), "a repetition is too long");
  runtime.charge(total);
  if (text) {
    std::string out;
    out.reserve(total);
    for (uint64_t i = 0; i < count && size > 0; ++i) out += *text;
    return Value(std::move(out), sequence.is_safe());
  }
  std::vector<Value> items;
  const List& list = *sequence.as_list();
  for (uint64_t i = 0; i < count && size > 0; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
  return Value::list(std::move(items), list.is_tuple());
}

/// Sequences: + joins two of a kind, * repeats.
std::optional<Value> sequence_arithmetic(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  const auto grows = [](const Value& x) {
    return x.as_text() || (x.as_list() && (x.as_list()->is_list() || x.as_list()->is_tuple()));
  };
  if (op == "*" && grows(a) && is_integer(b)) return repeated(runtime, a, b);
  if (op == "*" && grows(b) && is_integer(a)) return repeated(runtime, b, a);
  if (op != "+" || !grows(a) || !grows(b)) return std::nullopt;
  if (a.as_text() && b.as_text()) {
    runtime.charge(a.as_text()->size() + b.as_text()->size());
    if (!a.is_safe() && !b.is_safe()) return Value(*a.as_text() + *b.as_text());
    const Value left = escaped(runtime, a), right = escaped(runtime, b);
    return Value(*left.as_text() + *right.as_text(), true);
  }
  const List *left = a.as_list(), *right = b.as_list();
  if (!left || !right || left->is_tuple() != right->is_tuple()) return std::nullopt;
  runtime.charge((left->items.size() + right->items.size()) * sizeof(Value));
  std::vector<Value> items = left->items;
  items.insert(items.end(), right->items.begin(), right->items.end());
  return Value::list(std::move(items), left->is_tuple());
}

/// Keys or items without what is in something else, as a set; or something without keys or items.
std::optional<Value> set_difference(Runtime& runtime, const Value& a, const Value& b) {
  const auto is_set = [](const Value& x, bool view) {
    return x.as_list() && x.as_list()->is_set() && (!view || x.as_list()->kind != List::Kind::Set);
  };
  const bool both = is_set(a, false) && is_set(b, false);
  if (a.is_undefined() || (!both && !is_set(a, true) && !is_set(b, true))) return std::nullopt;
  Dict without, out;
  for (const Value& item : iterate(runtime, b)) runtime.charge_key(item), without.set(item, None{});
  for (const Value& item : iterate(runtime, a)) {
    runtime.charge_key(item);
    const bool gone = without.find(item) != nullptr;
    if (!gone && !out.find(item)) out.set(item, None{});
  }
  List set;
  set.kind = List::Kind::Set;
  for (auto& [item, none] : out.items) set.items.push_back(std::move(item));
  return Value::list(std::move(set));
}

}  // namespace

void refuse_types(std::string_view op, const Value& a, const Value& b) {
  refuse_undefined(a);
  refuse_undefined(b);
  fail("'{}' does not work between {} and {}", op, type_name(a), type_name(b));
}

Value arithmetic(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (is_integer(a) && is_integer(b)) {
    const auto i = wide_integer_of(a), j = wide_integer_of(b);
    require(i && j, "{}", kTooLarge);
    return integer_arithmetic(op, *i, *j);
  }
  if (a.is_number() && b.is_number()) return float_arithmetic(op, finite_number(a), finite_number(b));
  if (op == "%" && a.as_text()) return format_percent(runtime, a, b);
  if (auto out = sequence_arithmetic(runtime, op, a, b)) return *std::move(out);
  if (op == "-")
    if (auto out = set_difference(runtime, a, b)) return *std::move(out);
  refuse_types(op, a, b);
}

Value negative(const Value& a) {
  if (const double* d = a.as_double()) return -*d;
  if (const BigInteger* big = a.as_big())
    return Value::integer(big->digits->front() == '-' ? big->digits->substr(1) : "-" + *big->digits);
  if (const auto i = integer_of(a)) return Value::integer(-static_cast<WideInteger>(*i));
  refuse_undefined(a);
  fail("'-' does not work on {}", type_name(a));
}

Value positive(const Value& a) {
  if (const bool* b = a.as_bool()) return int64_t{*b};
  if (a.is_number()) return a;
  refuse_undefined(a);
  fail("'+' does not work on {}", type_name(a));
}

}  // namespace ingrain::jinja
