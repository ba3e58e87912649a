// Super-blocks: their groups' scales (and least numbers) are fitted alone, then rounded to whole numbers of the block's
// own scale, which is fitted to what that gave.
#include "formats/quantize_blocks.h"

#include "formats/quantize_fit.h"

#include <cmath>
#include <cstring>

namespace ingrain::formats {
namespace {

constexpr int kNumbers = 256;

// -- a scale for each group ---------------------------------------------------------------------------------------

/// Codes of 256 numbers, and of their groups' scales, whole numbers of d.
template <int kGroups>
struct ScaledBlock {
  float d = 0;
  int scale[kGroups] = {};
  uint8_t code[kNumbers] = {};
};

/// The same scales with another d: the levels that come of it, and their sums.
template <class Levels, int kGroups>
ScaleSums round_with(const float* x, const float* w, ScaledBlock<kGroups>& out) {
  constexpr int kSize = kNumbers / kGroups;
  ScaleSums sums;
  for (int i = 0; i < kNumbers; ++i) {
    const int group = i / kSize, scale = out.scale[group];
    const float step = out.d * static_cast<float>(scale);
    const int level = Levels::level(step != 0 ? x[i] / step : 0);
    out.code[i] = static_cast<uint8_t>(Levels::code(level));
    sums.add(x[i], w[i], static_cast<float>(level * scale));
  }
  return sums;
}

/// What a step leaves of a group's numbers, squared and weighted.
template <class Levels>
float group_error(const float* x, const float* w, int n, float step) {
  float out = 0;
  for (int i = 0; i < n; ++i) {
    const float off = x[i] - step * static_cast<float>(Levels::level(step != 0 ? x[i] / step : 0));
    out += w[i] * off * off;
  }
  return out;
}

/// ScaleLevels: what the groups' scales may be. d is written at `at`.
template <class Levels, class ScaleLevels, int kGroups>
ScaledBlock<kGroups> scaled_block(const float* x, uint8_t* at) {
  constexpr int kSize = kNumbers / kGroups;
  ScaledBlock<kGroups> out;
  float w[kNumbers], scale[kGroups], largest = 0;
  for (int g = 0; g < kGroups; ++g) {
    importance(x + g * kSize, kSize, w + g * kSize);
    scale[g] = fitted_scale<Levels>(x + g * kSize, w + g * kSize, kSize);
    if (std::abs(scale[g]) > std::abs(largest)) largest = scale[g];
  }
  out.d = put_half(at, largest / ScaleLevels::kFirst);
  if (out.d == 0) {
    std::ranges::fill(out.code, static_cast<uint8_t>(Levels::code(Levels::level(0))));
    return out;
  }
  for (int g = 0; g < kGroups; ++g) {
    const int middle = ScaleLevels::level(scale[g] / out.d);
    float least = INFINITY;
    for (int s = std::max(middle - 1, ScaleLevels::kFirst); s <= std::min(middle + 1, ScaleLevels::kLast); ++s) {
      const float error = group_error<Levels>(x + g * kSize, w + g * kSize, kSize, out.d * static_cast<float>(s));
      if (error >= least) continue;
      least = error;
      out.scale[g] = s;
    }
  }
  out.d = put_half(at, round_with<Levels>(x, w, out).scale());
  round_with<Levels>(x, w, out);
  return out;
}

// -- a scale and a least number for each group ----------------------------------------------------------------------

template <int kGroups>
struct LineBlock {
  float d = 0, dmin = 0;
  int scale[kGroups] = {}, least[kGroups] = {};
  uint8_t code[kNumbers] = {};

  ScaleAndLeast line(int group) const {
    return {d * static_cast<float>(scale[group]), -dmin * static_cast<float>(least[group])};
  }
};

/// The whole numbers next to a group's scale and least number that leave the smallest error.
template <int kGroups>
void choose_line(const float* x, const float* w, int n, int most, int most_scale, int g, LineBlock<kGroups>& block) {
  const int scale = block.scale[g], least = block.least[g];
  float smallest = INFINITY;
  int best_scale = scale, best_least = least;
  for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, most_scale); ++s)
    for (int m = std::max(least - 1, 0); m <= std::min(least + 1, most_scale); ++m) {
      block.scale[g] = s;
      block.least[g] = m;
      const float error = line_error(x, w, n, most, block.line(g));
      if (error >= smallest) continue;
      smallest = error;
      best_scale = s;
      best_least = m;
    }
  block.scale[g] = best_scale;
  block.least[g] = best_least;
}

/// d and dmin that suit the codes: x = d (scale code) - dmin least.
template <int kGroups>
std::pair<float, float> fitted_units(const float* x, const float* w, const LineBlock<kGroups>& block) {
  double ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;
  for (int i = 0; i < kNumbers; ++i) {
    const int g = i / (kNumbers / kGroups);
    const double s = block.scale[g] * block.code[i], m = -block.least[g];
    ss += w[i] * s * s;
    sm += w[i] * s * m;
    mm += w[i] * m * m;
    xs += w[i] * x[i] * s;
    xm += w[i] * x[i] * m;
  }
  const double determinant = ss * mm - sm * sm;
  if (mm == 0) return {ss > 0 ? static_cast<float>(xs / ss) : block.d, block.dmin};
  if (determinant <= 1e-9 * ss * mm) return {block.d, block.dmin};
  return {static_cast<float>((xs * mm - xm * sm) / determinant), static_cast<float>((ss * xm - sm * xs) / determinant)};
}

template <int kGroups>
float round_lines(const float* x, const float* w, int most, LineBlock<kGroups>& block) {
  constexpr int kSize = kNumbers / kGroups;
  float error = 0;
  for (int i = 0; i < kNumbers; ++i) {
    const auto [scale, least] = block.line(i / kSize);
    const int level = scale > 0 ? std::clamp(nearest_integer((x[i] - least) / scale), 0, most) : 0;
    block.code[i] = static_cast<uint8_t>(level);
    const float off = scale * static_cast<float>(level) + least - x[i];
    error += w[i] * off * off;
  }
  return error;
}

/// d and dmin are written at `at` and behind it.
template <int kGroups>
LineBlock<kGroups> line_block(const float* x, int most, int most_scale, uint8_t* at) {
  constexpr int kSize = kNumbers / kGroups;
  LineBlock<kGroups> out;
  float w[kNumbers], largest = 0, lowest = 0;
  ScaleAndLeast line[kGroups];
  for (int g = 0; g < kGroups; ++g) {
    importance(x + g * kSize, kSize, w + g * kSize);
    line[g] = fitted_line(x + g * kSize, w + g * kSize, kSize, most, /*no_more=*/true);
    largest = std::max(largest, line[g].scale);
    lowest = std::min(lowest, line[g].least);
  }
  const auto range = static_cast<float>(most_scale);
  out.d = put_half(at, largest / range);
  out.dmin = put_half(at + 2, -lowest / range);
  for (int g = 0; g < kGroups; ++g) {
    out.scale[g] = out.d > 0 ? std::clamp(nearest_integer(line[g].scale / out.d), 0, most_scale) : 0;
    out.least[g] = out.dmin > 0 ? std::clamp(nearest_integer(-line[g].least / out.dmin), 0, most_scale) : 0;
    choose_line(x + g * kSize, w + g * kSize, kSize, most, most_scale, g, out);
  }
  const float error = round_lines(x, w, most, out);
  LineBlock<kGroups> other = out;
  const auto [d, dmin] = fitted_units(x, w, out);
  if (d < 0 || dmin < 0) return out;
  uint8_t units[4];
  other.d = put_half(units, d);
  other.dmin = put_half(units + 2, dmin);
  if (round_lines(x, w, most, other) >= error) return out;
  std::memcpy(at, units, sizeof units);
  return other;
}

// -- where the codes lie ------------------------------------------------------------------------------------------

/// Two bits of each code: 32 bytes hold four runs of 32.
void put_pairs(const uint8_t* code, uint8_t* out) {
  for (int i = 0; i < kNumbers; ++i) {
    uint8_t& byte = out[i / 128 * 32 + i % 32];
    const int shift = i / 32 % 4 * 2;
    byte = static_cast<uint8_t>((shift ? byte : 0) | (code[i] & 3) << shift);
  }
}

/// Four bits of each: 32 bytes hold two runs of 32.
void put_halves(const uint8_t* code, uint8_t* out) {
  for (int i = 0; i < kNumbers; ++i) {
    uint8_t& byte = out[i / 64 * 32 + i % 32];
    byte = static_cast<uint8_t>(i / 32 % 2 ? byte | (code[i] & 15) << 4 : code[i] & 15);
  }
}

/// Eight scales and eight minima of 6 bits in 12 bytes (unpack_scales() of gguf_quants.cpp).
void put_six_bits(const LineBlock<8>& block, uint8_t* out) {
  for (int j = 0; j < 4; ++j) {
    out[j] = static_cast<uint8_t>(block.scale[j] | (block.scale[j + 4] >> 4) << 6);
    out[j + 4] = static_cast<uint8_t>(block.least[j] | (block.least[j + 4] >> 4) << 6);
    out[j + 8] = static_cast<uint8_t>((block.scale[j + 4] & 15) | (block.least[j + 4] & 15) << 4);
  }
}

}  // namespace

void quantize_q2_k(const float* x, uint8_t* block) {
  const LineBlock<16> b = line_block<16>(x, 3, 15, block + 80);
  for (int g = 0; g < 16; ++g) block[g] = static_cast<uint8_t>(b.scale[g] | b.least[g] << 4);
  put_pairs(b.code, block + 16);
}

void quantize_q4_k(const float* x, uint8_t* block) {
  const LineBlock<8> b = line_block<8>(x, 15, 63, block);
  put_six_bits(b, block + 4);
  put_halves(b.code, block + 16);
}

void quantize_q5_k(const float* x, uint8_t* block) {
  const LineBlock<8> b = line_block<8>(x, 31, 63, block);
  put_six_bits(b, block + 4);
  std::memset(block + 16, 0, 32);
  for (int i = 0; i < kNumbers; ++i) block[16 + i % 32] |= static_cast<uint8_t>((b.code[i] >> 4) << i / 32);
  put_halves(b.code, block + 48);
}

void quantize_q3_k(const float* x, uint8_t* block) {
  const auto b = scaled_block<WholeLevels<-4, 3>, WholeLevels<-32, 31>, 16>(x, block + 108);
  std::memset(block, 0, 32);
  for (int i = 0; i < kNumbers; ++i) block[i % 32] |= static_cast<uint8_t>((b.code[i] >> 2) << i / 32);
  put_pairs(b.code, block + 32);
  std::memset(block + 96, 0, 12);
  for (int g = 0; g < 16; ++g) {
    const int scale = b.scale[g] + 32;
    block[96 + g % 8] |= static_cast<uint8_t>((scale & 15) << g / 8 * 4);
    block[104 + g % 4] |= static_cast<uint8_t>((scale >> 4) << g / 4 * 2);
  }
}

void quantize_q6_k(const float* x, uint8_t* block) {
  const auto b = scaled_block<WholeLevels<-32, 31>, WholeLevels<-128, 127>, 16>(x, block + 208);
  std::memset(block, 0, 192);
  for (int i = 0; i < kNumbers; ++i) {
    const int half = i / 128, run = i / 32 % 4;
    block[half * 64 + run % 2 * 32 + i % 32] |= static_cast<uint8_t>((b.code[i] & 15) << run / 2 * 4);
    block[128 + half * 32 + i % 32] |= static_cast<uint8_t>((b.code[i] >> 4) << 2 * run);
  }
  for (int g = 0; g < 16; ++g) block[192 + g] = static_cast<uint8_t>(b.scale[g]);
}

void quantize_iq4_xs(const float* x, uint8_t* block) {
  const auto b = scaled_block<NonLinearLevels, WholeLevels<-32, 31>, 8>(x, block);
  std::memset(block + 2, 0, 6);
  for (int g = 0; g < 8; ++g) {
    const int scale = b.scale[g] + 32;
    block[2 + g / 4] |= static_cast<uint8_t>((scale >> 4) << g % 4 * 2);
    block[4 + g / 2] |= static_cast<uint8_t>((scale & 15) << g % 2 * 4);
    for (int i = 0; i < 16; ++i)
      block[8 + 16 * g + i] = static_cast<uint8_t>(b.code[32 * g + i] | b.code[32 * g + 16 + i] << 4);
  }
}

}  // namespace ingrain::formats
