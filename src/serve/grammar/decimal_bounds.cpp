#include "serve/grammar/decimal_bounds.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>

namespace ingrain::serve {
namespace {

constexpr int64_t kUnbounded = 1'000'000'000'000'000'000;  // more than 18 digits say
constexpr int kMaxDigits = 18;

/// A number in units of 10^-decimals, between -kUnbounded and kUnbounded.
struct Scaled {
  int64_t floor;
  bool exact;
  int64_t ceiling() const { return exact || floor == kUnbounded ? floor : floor + 1; }
};

/// From the shortest text that is this number: what is compared with other decimals is what the schema's author wrote.
Scaled scaled(const nlohmann::ordered_json& number, int decimals) {
  std::string_view text;
  const std::string dumped = number.dump();
  text = dumped;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::string digits;
  int exponent = decimals;
  bool after_point = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.') {
      after_point = true;
    } else if (text[i] == 'e') {
      int shift = 0;
      const size_t sign = text[i + 1] == '+' ? 1 : 0;
      std::from_chars(text.data() + i + 1 + sign, text.data() + text.size(), shift);
      exponent += shift;
      break;
    } else {
      digits += text[i];
      if (after_point) --exponent;
    }
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return {0, true};
  bool exact = true;
  if (exponent >= 0) {
    if (digits.size() + static_cast<size_t>(exponent) > kMaxDigits) return {negative ? -kUnbounded : kUnbounded, true};
    digits.append(static_cast<size_t>(exponent), '0');
  } else {
    const size_t kept = digits.size() - std::min(digits.size(), static_cast<size_t>(-exponent));
    exact = digits.find_first_not_of('0', kept) == digits.npos;
    digits.erase(kept);
    if (digits.size() > kMaxDigits) return {negative ? -kUnbounded : kUnbounded, true};
  }
  int64_t magnitude = 0;
  for (const char digit : digits) magnitude = magnitude * 10 + (digit - '0');
  if (!negative) return {magnitude, exact};
  return {exact ? -magnitude : -magnitude - 1, exact};
}

}  // namespace

NumberForm number_form(const nlohmann::ordered_json& schema, bool integer, const std::string& path) {
  NumberForm form;
  if (integer) {
    form = {.bounded = true, .digits = kMaxDigits, .decimals = 0, .low = 1 - kUnbounded, .high = kUnbounded - 1};
  } else {
    // 15 digits tell doubles apart; whoever writes more before the point gets a coarser step below.
    form = {.bounded = false, .digits = 12, .decimals = 6, .low = 1 - kUnbounded, .high = kUnbounded - 1};
  }
  const int64_t one = integer ? 1 : 1'000'000;
  for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (!schema.contains(keyword)) continue;
    const auto& value = schema[keyword];
    if (!value.is_number()) fail_usage("{}.{}: must be a number", path, keyword);
    form.bounded = true;
    const std::string_view name = keyword;
    const Scaled bound = scaled(value, form.decimals);
    // Beside a bound that is itself excluded: far enough to be another double.
    const bool far = bound.floor >= one * 1'000'000'000 || bound.floor <= -one * 1'000'000'000;
    const int64_t step = !name.starts_with("exclusive") || !bound.exact ? 0 : far ? one : 1;
    if (name == "minimum" || name == "exclusiveMinimum")
      form.low = std::max(form.low, bound.ceiling() + step);
    else
      form.high = std::min(form.high, bound.floor - step);
  }
  if (!form.bounded) return NumberForm{};
  if (!form.possible())
    fail_usage("{}: no number of at most {} digits before the point{} is between its bounds", path, form.digits,
               integer ? "" : " and 6 after it");
  return form;
}

}  // namespace ingrain::serve
