// Matrices in eight bits: Q8_0, blocks of 32 weights of a row that share a scale, weight = scale * q with q in
// -127 .. 127 and scale = the largest magnitude / 127. Decoding is bound by reading weights; these take 36 bytes for 32.
#pragma once

#include "ops/planes.h"

namespace ingrain::ops {

/// Weights in a block. A row's length must be a multiple of it.
inline constexpr int64_t kQ8Block = 32;

/// w: [N, K], finite, on the CPU. Returns the packed matrix, [N, 36 K / 32] bytes: per block the scale (fp32), then 32 q.
Tensor pack_q8(const Tensor& w_NK);

/// The weights that a packed matrix stands for, [N, K] fp32.
Tensor unpack_q8(const Tensor& packed);

/// Whether `w` is a packed matrix: no other matrix of the engine has bytes.
inline bool is_q8(const Tensor& w) { return w.scalar_type() == at::kByte; }

/// a wᵀ, [M, N], like a; a: [M, K], fp32 or bf16. The product with the unpacked weights, with a rounded to 16 bits a number and
/// a scale per block of 32: whole numbers are multiplied twice as fast as fp32, and what that rounding moves is a
/// hundredth of what eight bits did to the weights. Any M, but made for few rows.
Tensor q8_nt(const Tensor& a_MK, const Tensor& packed);

}  // namespace ingrain::ops
