// Where tests of kernels put their tensors.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::test {

/// Tensors placed by it are contiguous, but start `offset` elements into their storage.
struct Placing {
  at::Device device = at::kCPU;
  int64_t offset = 0;

  Tensor place(const Tensor& x, at::ScalarType type) const {
    const Tensor storage = at::empty({x.numel() + offset}, at::TensorOptions().device(device).dtype(type));
    return storage.narrow(0, offset, x.numel()).view(x.sizes()).copy_(x);
  }
};

/// Kernels must not count on alignment, nor fail where they find it.
inline std::vector<Placing> placings(at::Device device) { return {{device, 1}, {device, 0}}; }

}  // namespace ingrain::test
