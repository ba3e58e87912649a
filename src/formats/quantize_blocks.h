// Blocks of 256 numbers, each type by a function of its own, and what they share with the small ones.
#pragma once

#include "base/codebooks.h"
#include "base/half.h"

#include <algorithm>
#include <cstdint>

namespace ingrain::formats {

/// Writes x in half precision; returns what was written. Error if that is no number.
float put_half(uint8_t* at, float x);

/// The levels of IQ4_NL and IQ4_XS.
struct NonLinearLevels {
  static constexpr int kFirst = -127, kLast = 113;
  static int code_of(float x) {
    const auto* const above =
        std::ranges::lower_bound(kNonLinear, x, {}, [](int8_t v) { return static_cast<float>(v); });
    if (above == kNonLinear) return 0;
    if (above == kNonLinear + 16) return 15;
    return static_cast<int>(above - kNonLinear) - (x - above[-1] < *above - x ? 1 : 0);
  }
  static int level(float x) { return kNonLinear[code_of(x)]; }
  static int code(int level) { return code_of(static_cast<float>(level)); }
};

void quantize_q2_k(const float* x, uint8_t* block);
void quantize_q3_k(const float* x, uint8_t* block);
void quantize_q4_k(const float* x, uint8_t* block);
void quantize_q5_k(const float* x, uint8_t* block);
void quantize_q6_k(const float* x, uint8_t* block);
void quantize_iq4_xs(const float* x, uint8_t* block);

}  // namespace ingrain::formats
