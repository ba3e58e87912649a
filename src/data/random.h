// Random numbers that are the same on every machine and in every version: what is shuffled with them can be
// reproduced from a seed. (The standard library's distributions are not specified bit for bit.)
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace ingrain::data {

/// A whole number below `range`, uniform: Lemire's multiplication with rejection (arXiv 1805.10941).
/// `next` gives 64 random bits. REQUIRES: range > 0.
template <class Next>
uint64_t bounded(uint64_t range, Next&& next) {
  using Wide = unsigned __int128;
  Wide product = Wide{next()} * range;
  if (static_cast<uint64_t>(product) < range) {
    const uint64_t threshold = (0 - range) % range;
    while (static_cast<uint64_t>(product) < threshold) product = Wide{next()} * range;
  }
  return static_cast<uint64_t>(product >> 64);
}

/// 0..n-1 in random order (Fisher-Yates from the end); draw(range) gives a number below `range`.
template <class Draw>
std::vector<uint32_t> permutation(uint32_t n, Draw&& draw) {
  std::vector<uint32_t> out(n);
  std::iota(out.begin(), out.end(), 0u);
  for (uint32_t i = n; i-- > 1;) std::swap(out[i], out[draw(uint64_t{i} + 1)]);
  return out;
}

/// SplitMix64 (Steele, Lea, Flood 2014). `stream` gives independent sequences under one seed.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed, uint64_t stream = 0) : state_(mix(seed + kGamma) ^ mix(mix(stream) + kGamma)) {}

  uint64_t next() { return mix(state_ += kGamma); }
  uint64_t below(uint64_t range) {
    return bounded(range, [this] { return next(); });
  }
  std::vector<uint32_t> permutation(uint32_t n) {
    return data::permutation(n, [this](uint64_t range) { return below(range); });
  }

 private:
  static constexpr uint64_t kGamma = 0x9E3779B97F4A7C15;

  static constexpr uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace ingrain::data
