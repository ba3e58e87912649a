#include "data/numpy_random.h"

#include "data/random.h"

#include <array>
#include <bit>

namespace ingrain::data {
namespace {

/// Turns a seed into as many well-mixed words as a generator needs.
class SeedSequence {
 public:
  explicit SeedSequence(uint64_t seed) {
    const std::array<uint32_t, 4> entropy = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
    uint32_t constant = 0x43b0d7e5;
    for (size_t i = 0; i < pool_.size(); ++i) pool_[i] = hash(entropy[i], constant, 0x931e8875);
    for (size_t from = 0; from < pool_.size(); ++from) {
      for (size_t to = 0; to < pool_.size(); ++to) {
        if (from != to) pool_[to] = mix(pool_[to], hash(pool_[from], constant, 0x931e8875));
      }
    }
  }

  std::array<uint64_t, 4> words() const {
    std::array<uint64_t, 4> out;
    uint32_t constant = 0x8b51f9dd;
    for (size_t i = 0; i < out.size(); ++i) {
      const uint32_t low = hash(pool_[2 * i % 4], constant, 0x58f38ded);
      const uint32_t high = hash(pool_[(2 * i + 1) % 4], constant, 0x58f38ded);
      out[i] = uint64_t{high} << 32 | low;
    }
    return out;
  }

 private:
  static uint32_t hash(uint32_t value, uint32_t& constant, uint32_t multiplier) {
    value ^= constant;
    constant *= multiplier;
    value *= constant;
    return value ^ value >> 16;
  }

  static uint32_t mix(uint32_t a, uint32_t b) {
    const uint32_t out = a * 0xca01f9dd - b * 0x4973f715;
    return out ^ out >> 16;
  }

  std::array<uint32_t, 4> pool_;
};

}  // namespace

NumpyRandom::NumpyRandom(uint64_t seed) {
  const auto words = SeedSequence(seed).words();
  increment_ = (Wide{words[2]} << 64 | words[3]) << 1 | 1;
  step();
  state_ += Wide{words[0]} << 64 | words[1];
  step();
}

void NumpyRandom::step() {
  constexpr Wide multiplier = Wide{2549297995355413924u} << 64 | 4865540595714422341u;
  state_ = state_ * multiplier + increment_;
}

uint64_t NumpyRandom::next64() {
  step();
  const auto folded = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
  return std::rotr(folded, static_cast<int>(state_ >> 122));
}

uint32_t NumpyRandom::next32() {
  if (spare_) {
    const uint32_t out = *spare_;
    spare_.reset();
    return out;
  }
  const uint64_t both = next64();
  spare_ = static_cast<uint32_t>(both >> 32);
  return static_cast<uint32_t>(both);
}

uint64_t NumpyRandom::below(uint64_t range) {
  if (range == 1) return 0;  // numpy draws nothing here
  if (range == uint64_t{1} << 32) return next32();
  if (range > uint64_t{1} << 32) return bounded(range, [this] { return next64(); });
  // The 32-bit form of bounded().
  const auto narrow = static_cast<uint32_t>(range);
  uint64_t product = uint64_t{next32()} * narrow;
  if (static_cast<uint32_t>(product) < narrow) {
    const uint32_t threshold = (0 - narrow) % narrow;
    while (static_cast<uint32_t>(product) < threshold) product = uint64_t{next32()} * narrow;
  }
  return product >> 32;
}

// numpy's shuffle draws in another way than integers(): as many bits as needed, until they are in range.
uint64_t NumpyRandom::below_by_mask(uint64_t range) {
  const auto mask = static_cast<uint32_t>(std::bit_ceil(range) - 1);
  while (true) {
    if (const uint32_t value = next32() & mask; value < range) return value;
  }
}

std::vector<uint32_t> NumpyRandom::permutation(uint32_t n) {
  return data::permutation(n, [this](uint64_t range) { return below_by_mask(range); });
}

}  // namespace ingrain::data
