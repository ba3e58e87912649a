// numpy.random.default_rng(seed), bit for bit, as far as the order of training batches needs it.
// Sources: PCG64 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient ... Algorithms", 2014), SeedSequence
// (O'Neill, "Developing a seed_seq Alternative", 2015), Lemire's bounded integers (arXiv 1805.10941).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ingrain::data {

class NumpyRandom {
 public:
  explicit NumpyRandom(uint64_t seed);

  /// integers(0, range). REQUIRES: range > 0.
  uint64_t below(uint64_t range);
  /// permutation(n).
  std::vector<uint32_t> permutation(uint32_t n);

 private:
  using Wide = unsigned __int128;

  void step();
  uint64_t next64();
  uint32_t next32();
  uint64_t below_by_mask(uint64_t range);

  Wide state_ = 0, increment_ = 0;
  std::optional<uint32_t> spare_;  // the upper half of a 64-bit draw of which next32() gave the lower
};

}  // namespace ingrain::data
