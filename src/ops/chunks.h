#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// x [B, T, H, d] in chunks of C tokens, [B, H, chunks, C, d], in type `type`. Zeros stand for the tokens that the last
/// chunk lacks.
inline Tensor in_chunks_of(int64_t C, const Tensor& x_BTHd, at::ScalarType type) {
  const int64_t chunks = (x_BTHd.size(1) + C - 1) / C, missing = chunks * C - x_BTHd.size(1);
  return at::constant_pad_nd(x_BTHd.to(type), {0, 0, 0, 0, 0, missing})
      .view({x_BTHd.size(0), chunks, C, x_BTHd.size(2), x_BTHd.size(3)})
      .permute({0, 3, 1, 2, 4});
}

/// The chunks of x [B, H, chunks, ...] one by one. By one unbind(), whose gradient is one tensor: those of as many
/// select() would be of all chunks each, and sum to the square of a text's length.
inline std::vector<Tensor> each_chunk(const Tensor& x_BHN) { return x_BHN.unbind(2); }

}  // namespace ingrain::ops
