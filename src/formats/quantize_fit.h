// Scales by weighted least squares: of several roundings of a group of numbers, each with the scale (and the least
// number) that suits it best, the one with the smallest error.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ingrain::formats {

/// x rounded to a whole number. |x| < 2^21: beyond, whatever is furthest in the right direction, for who clamps it.
inline int nearest_integer(float x) {
  const float shifted = std::clamp(x, -2e6f, 2e6f) + 12582912.0f;  // 1.5 * 2^23: the fraction is rounded off
  return static_cast<int>(std::bit_cast<uint32_t>(shifted) & 0x7FFFFF) - 0x400000;
}

/// Whole numbers from kLow to kHigh.
template <int kLow, int kHigh>
struct WholeLevels {
  static constexpr int kFirst = kLow, kLast = kHigh;
  /// The level nearest to x, and its number as blocks have it, from 0.
  static int level(float x) { return std::clamp(nearest_integer(x), kLow, kHigh); }
  static int code(int level) { return level - kLow; }
};

/// How much an error of each of n numbers counts: large weights matter more, small ones are not nothing.
inline void importance(const float* x, int n, float* w) {
  float squares = 0;
  for (int i = 0; i < n; ++i) squares += x[i] * x[i];
  const float typical = std::sqrt(squares / static_cast<float>(n));
  for (int i = 0; i < n; ++i) w[i] = typical + std::abs(x[i]);
}

/// Sums over a group for the scale that suits its levels: scale = xl / ll, and what is left is xx - xl^2 / ll.
struct ScaleSums {
  float xl = 0, ll = 0;
  void add(float x, float w, float level) {
    xl += w * x * level;
    ll += w * level * level;
  }
  float scale() const { return ll > 0 ? xl / ll : 0; }
  float gain() const { return ll > 0 ? xl * xl / ll : 0; }
};

template <class Levels>
ScaleSums sums_of(const float* x, const float* w, int n, float scale) {
  ScaleSums out;
  const float inverse = scale != 0 ? 1 / scale : 0;
  for (int i = 0; i < n; ++i) out.add(x[i], w[i], static_cast<float>(Levels::level(x[i] * inverse)));
  return out;
}

/// The scale of n numbers. The largest of them is put at either end of the levels, a little before and behind it.
template <class Levels>
float fitted_scale(const float* x, const float* w, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i)
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  if (largest == 0) return 0;
  ScaleSums best;
  for (const int end : {Levels::kFirst, Levels::kLast})
    for (int step = -10; step <= 10; ++step) {
      const float at = static_cast<float>(end) * (1 + static_cast<float>(step) * 0.015f);
      const ScaleSums sums = sums_of<Levels>(x, w, n, largest / at);
      if (sums.gain() > best.gain()) best = sums;
    }
  for (int round = 0; round < 3; ++round) {
    const ScaleSums sums = sums_of<Levels>(x, w, n, best.scale());
    if (!(sums.gain() > best.gain())) break;
    best = sums;
  }
  return best.scale();
}

struct ScaleAndLeast {
  float scale = 0, least = 0;
};

/// Sums of numbers and their levels, for both at once: x = scale * level + least.
struct LineSums {
  float w = 0, x = 0, l = 0, ll = 0, xl = 0;
  void add(float number, float weight, float level) {
    w += weight;
    x += weight * number;
    l += weight * level;
    ll += weight * level * level;
    xl += weight * number * level;
  }
  /// no_more: least may not be above 0.
  ScaleAndLeast line(bool no_more) const {
    const float d = w * ll - l * l;
    if (d <= 0) return {0, no_more ? std::min(x / w, 0.0f) : x / w};
    const ScaleAndLeast out{(w * xl - x * l) / d, (ll * x - l * xl) / d};
    if (!no_more || out.least <= 0) return out;
    return {ll > 0 ? xl / ll : 0, 0};
  }
};

inline float line_error(const float* x, const float* w, int n, int most, ScaleAndLeast line) {
  const float inverse = line.scale > 0 ? 1 / line.scale : 0;
  float out = 0;
  for (int i = 0; i < n; ++i) {
    const int level = std::clamp(nearest_integer((x[i] - line.least) * inverse), 0, most);
    const float off = line.scale * static_cast<float>(level) + line.least - x[i];
    out += w[i] * off * off;
  }
  return out;
}

inline ScaleAndLeast refined_line(const float* x, const float* w, int n, int most, ScaleAndLeast line, bool no_more) {
  const float inverse = line.scale > 0 ? 1 / line.scale : 0;
  LineSums sums;
  for (int i = 0; i < n; ++i)
    sums.add(x[i], w[i], static_cast<float>(std::clamp(nearest_integer((x[i] - line.least) * inverse), 0, most)));
  return sums.line(no_more);
}

/// Scale and least number of n numbers for the levels 0 to `most`.
inline ScaleAndLeast fitted_line(const float* x, const float* w, int n, int most, bool no_more) {
  const auto [low, high] = std::minmax_element(x, x + n);
  const float from = no_more ? std::min(*low, 0.0f) : *low, to = std::max(*high, from);
  if (to == from) return {0, from};
  ScaleAndLeast best{(to - from) / static_cast<float>(most), from};
  float error = line_error(x, w, n, most, best);
  const auto attempt = [&](ScaleAndLeast line) {
    const float other = line_error(x, w, n, most, line);
    if (line.scale < 0 || other >= error) return false;
    error = other;
    best = line;
    return true;
  };
  const float range = static_cast<float>(most);
  for (int step = -6; step <= 10; ++step)
    attempt(refined_line(x, w, n, most, {(to - from) / (range + 0.1f * static_cast<float>(step)), from}, no_more));
  for (int round = 0; round < 4 && attempt(refined_line(x, w, n, most, best, no_more)); ++round) {}
  return best;
}

}  // namespace ingrain::formats
