#include "serve/grammar/json_number.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

int64_t power_of_ten(int exponent) {
  int64_t out = 1;
  while (exponent-- > 0) out *= 10;
  return out;
}

struct Magnitudes {
  int64_t low, high;
  bool meets(int64_t first, int64_t last) const { return first <= high && last >= low; }
};

/// What may stand after a sign; -0 is no number of ours.
Magnitudes magnitudes(const NumberForm& form, bool negative) {
  if (negative) return {std::max<int64_t>(1, -form.high), -form.low};
  return {std::max<int64_t>(0, form.low), form.high};
}

}  // namespace

bool NumberForm::possible() const {
  if (!bounded) return true;
  for (const bool negative : {false, true})
    if (magnitudes(*this, negative).meets(0, power_of_ten(digits + decimals) - 1) &&
        magnitudes(*this, negative).low <= magnitudes(*this, negative).high)
      return true;
  return false;
}

/// Whether some way to go on from these digits ends between the bounds.
bool JsonNumber::reachable(const NumberForm& form) const {
  if (!form.bounded) return true;
  const Magnitudes wanted = magnitudes(form, negative);
  if (wanted.low > wanted.high) return false;
  if (phase == Phase::fraction) {
    const int64_t unit = power_of_ten(form.decimals - count);
    return wanted.meets(value * unit, value * unit + unit - 1);
  }
  const int64_t one = power_of_ten(form.decimals);
  const int more = phase == Phase::integer ? form.digits - count : 0;
  for (int k = 0; k <= more; ++k) {
    const int64_t first = value * power_of_ten(k);
    if (wanted.meets(first * one, (first + power_of_ten(k)) * one - 1)) return true;
  }
  return false;
}

bool JsonNumber::digit(const NumberForm& form, int64_t digit) {
  switch (phase) {
    case Phase::begin:
    case Phase::minus:
      phase = digit == 0 ? Phase::zero : Phase::integer;
      count = 1;
      break;
    case Phase::integer:
      if (count++ == form.digits) return false;
      break;
    case Phase::point:
      phase = Phase::fraction;
      count = 1;
      break;
    case Phase::fraction:
      if (count++ == form.decimals) return false;
      break;
    case Phase::e:
    case Phase::e_sign:
      phase = Phase::exponent;
      count = 1;
      return true;
    case Phase::exponent: return count++ < 2;
    case Phase::zero: return false;
  }
  if (form.bounded) value = value * 10 + digit;
  return reachable(form);
}

bool JsonNumber::step(const NumberForm& form, uint8_t byte) {
  if (byte >= '0' && byte <= '9') return digit(form, byte - '0');
  const bool after_integer = phase == Phase::zero || phase == Phase::integer;
  switch (byte) {
    case '-':
      if (phase == Phase::begin) {
        phase = Phase::minus;
        negative = true;
        if (!form.bounded) return true;
        const Magnitudes wanted = magnitudes(form, true);
        return wanted.low <= wanted.high;
      }
      [[fallthrough]];
    case '+':
      if (phase != Phase::e) return false;
      phase = Phase::e_sign;
      return true;
    case '.': {
      if (!after_integer || form.decimals == 0) return false;
      if (form.bounded) {
        const int64_t one = power_of_ten(form.decimals);
        if (!magnitudes(form, negative).meets(value * one, value * one + one - 1)) return false;
      }
      phase = Phase::point;
      return true;
    }
    case 'e':
    case 'E':
      if (form.bounded || !(after_integer || phase == Phase::fraction)) return false;
      phase = Phase::e;
      return true;
    default: return false;
  }
}

bool JsonNumber::may_end(const NumberForm& form) const {
  if (phase == Phase::exponent) return true;
  const bool is_fraction = phase == Phase::fraction;
  if (!is_fraction && phase != Phase::zero && phase != Phase::integer) return false;
  if (!form.bounded) return true;
  const int64_t whole = value * power_of_ten(form.decimals - (is_fraction ? count : 0));
  return magnitudes(form, negative).meets(whole, whole);
}

}  // namespace ingrain::serve
