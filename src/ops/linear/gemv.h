// Products with few rows on the left (decoding): limited by reading the weights once, from memory to registers.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Whether few_rows_nt takes these operands and is the fastest way: a in fp32 or bf16, b the same or fp32, rows of b
/// contiguous, and few enough rows of a. Both may have a leading batch axis.
bool has_few_rows(const Tensor& a_BMK, const Tensor& b_BNK);

/// a bᵀ, [B, M, N] or [M, N], like a; b rounded to a's type as it is read, sums in fp32. Throws c10::Error unless
/// has_few_rows(a, b) and the shapes fit.
Tensor few_rows_nt(const Tensor& a_BMK, const Tensor& b_BNK);

struct FewRowsKernels {
  /// Up to so many rows these kernels are faster than libtorch's products; 0: never.
  int64_t most_rows, most_rows_of_fp32_weights;
  Tensor (*nt)(const Tensor& a_BMK, const Tensor& b_BNK);
};
extern const FewRowsKernels few_rows_reference, few_rows_cpu, few_rows_cuda;

}  // namespace ingrain::ops
