// Products with few rows on the left (decoding): limited by reading the weights once, from memory to registers.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Whether gemv_nt takes these operands and is the fastest way: a in fp32 or bf16, b the same or fp32, rows of b
/// contiguous, and few enough rows of a. Both may have a leading batch axis.
bool gemv_fits(const Tensor& a_BMK, const Tensor& b_BNK);

/// a bᵀ, [B, M, N] or [M, N], like a; b rounded to a's type as it is read, sums in fp32. Throws c10::Error unless
/// gemv_fits(a, b) and the shapes fit.
Tensor gemv_nt(const Tensor& a_BMK, const Tensor& b_BNK);

struct GemvKernels {
  /// Up to so many rows these kernels are faster than libtorch's products; 0: never.
  int64_t most_rows, most_rows_of_fp32_weights;
  Tensor (*nt)(const Tensor& a_BMK, const Tensor& b_BNK);
};
extern const GemvKernels gemv_reference, gemv_cpu, gemv_cuda;

}  // namespace ingrain::ops
