// 16-bit floating point of files: IEEE half precision and bfloat16, widened exactly to fp32 and rounded from it.
#pragma once

#include <bit>
#include <cstdint>

namespace ingrain {

/// The value of IEEE 754 half-precision bits. Exact; infinities and NaN stay what they are.
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t fraction = half & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

inline bool is_finite_half(uint16_t half) { return (half & 0x7C00) != 0x7C00; }

/// The value of bfloat16 bits: the upper half of an fp32.
inline float bfloat16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// The nearest half precision number, of two equally near the even one; beyond 65,504 infinity.
inline uint16_t float_to_half(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude >= 0x477FF000u) {  // rounds to 65,536, or is no number
    const bool nan = magnitude > 0x7F800000u;
    return static_cast<uint16_t>(sign | 0x7C00u | (nan ? 0x200u : 0u));
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, which adding 2^23 rounds to
    const float multiples = std::bit_cast<float>(magnitude) * 0x1p24f + 0x1p23f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(multiples) & 0x7FFu));
  }
  magnitude += 0xFFFu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u) >> 13));
}

/// The nearest bfloat16 number, of two equally near the even one. x: no NaN.
inline uint16_t float_to_bfloat16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace ingrain
