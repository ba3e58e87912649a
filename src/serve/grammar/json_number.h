// A JSON number, digit by digit, between bounds.
#pragma once

#include <cstdint>
#include <limits>

namespace ingrain::serve {

/// What numbers may be written. Any: at most 18 digits before and after the point, an exponent of at most two digits,
/// so that every one fits a double. With bounds: no exponent; at most `decimals` digits after the point, and all are
/// counted in units of 10^-decimals.
struct NumberForm {
  bool bounded = false;
  uint8_t digits = 18;    // before the point
  uint8_t decimals = 18;  // after it; 0: an integer. bounded: digits + decimals <= 18
  int64_t low = 0, high = 0;

  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  /// Whether any number can be written.
  bool possible() const;
};

/// Where one stands in a number. A value.
struct JsonNumber {
  /// Whether `byte` may come next; after false the state is not to be used. Every state that is reached can be ended,
  /// or gone on from to one that can.
  bool step(const NumberForm& form, uint8_t byte);
  bool may_end(const NumberForm& form) const;

  enum class Phase : uint8_t { begin, minus, zero, integer, point, fraction, e, e_sign, exponent };
  Phase phase = Phase::begin;
  bool negative = false;
  uint8_t count = 0;  // digits of this part
  int64_t value = 0;  // bounded: all digits so far

 private:
  bool digit(const NumberForm& form, int64_t digit);
  bool reachable(const NumberForm& form) const;
};

}  // namespace ingrain::serve
