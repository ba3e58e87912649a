// Integers of any size: exact to print and to compare, computed with up to 127 bits.
#include "base/error.h"
#include "jinja/value.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace ingrain::jinja {
namespace {

constexpr size_t kMaxDigits = 4300;  // Python's own bound
constexpr size_t kWideDigits = 38;   // always fit 127 bits

std::string wide_text(WideInteger number) {
  const bool negative = number < 0;
  std::string out;
  do {
    const int digit = static_cast<int>(number % 10);
    out += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    number /= 10;
  } while (number != 0);
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

Value Value::integer(WideInteger number) {
  if (number >= std::numeric_limits<int64_t>::min() && number <= std::numeric_limits<int64_t>::max())
    return static_cast<int64_t>(number);
  return integer(wide_text(number));
}

Value Value::integer(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  require(digits.size() <= kMaxDigits, "an integer of more than {} digits", kMaxDigits);
  if (digits.size() < kWideDigits) {
    WideInteger number = 0;
    for (const char digit : digits) number = number * 10 + (digit - '0');
    if (negative) number = -number;
    if (number >= std::numeric_limits<int64_t>::min() && number <= std::numeric_limits<int64_t>::max())
      return static_cast<int64_t>(number);
  }
  Value out;
  out.data_ = BigInteger{std::make_shared<const std::string>((negative ? "-" : "") + std::string(digits))};
  return out;
}

std::optional<int64_t> integer_of(const Value& value) {
  if (const int64_t* i = value.as_integer()) return *i;
  if (const bool* b = value.as_bool()) return *b ? 1 : 0;
  return std::nullopt;
}

std::optional<WideInteger> wide_integer_of(const Value& value) {
  if (const auto i = integer_of(value)) return *i;
  const BigInteger* big = value.as_big();
  if (!big || big->digits->size() > kWideDigits) return std::nullopt;
  const bool negative = big->digits->front() == '-';
  WideInteger number = 0;
  for (const char digit : std::string_view(*big->digits).substr(negative)) number = number * 10 + (digit - '0');
  return negative ? -number : number;
}

bool is_integer(const Value& value) { return value.as_integer() || value.as_bool() || value.as_big(); }

std::string digits_of(const Value& value) {
  if (const BigInteger* big = value.as_big()) return *big->digits;
  return std::to_string(*integer_of(value));
}

std::optional<double> number_of(const Value& value) {
  if (const double* d = value.as_double()) return *d;
  if (const auto i = integer_of(value)) return static_cast<double>(*i);
  if (const BigInteger* big = value.as_big()) return std::strtod(big->digits->c_str(), nullptr);
  return std::nullopt;
}

}  // namespace ingrain::jinja
