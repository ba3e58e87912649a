// Pages of their own for tensors that are kept long: not the allocator's, which would be left with holes.
#pragma once

#include "ops/aten.h"

#include <cstdint>
#include <memory>

namespace ingrain::ttt {

/// Where a tensor of so many bytes ends, for the next one.
constexpr uint64_t aligned(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

/// Tensors on the CPU, one after the other in one mapping, which goes with the last of them.
class PagePlace {
 public:
  /// REQUIRES: bytes is the sum of aligned(nbytes) of all that is copied. Error where the system has no more.
  explicit PagePlace(uint64_t bytes);
  at::Tensor copy(const at::Tensor& x);
  /// A tensor to be filled.
  at::Tensor room(at::IntArrayRef sizes, at::ScalarType type);

 private:
  std::shared_ptr<char> pages_;
  uint64_t used_ = 0;
};

}  // namespace ingrain::ttt
