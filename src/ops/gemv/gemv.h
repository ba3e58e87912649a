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

/// The same with a leading batch axis, where entry i of a meets entry b_of_a[i] of b, read once for all who share it; a
/// negative one: none, and the result is 0. No result depends on who shares. b_of_a: [B] int64, contiguous, looked up
/// whenever the kernel runs, on the device of the others. A backend without such a kernel copies what is shared.
Tensor gemv_nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B);

/// That copy, for a product nt(a, b) = a bᵀ of batch entries.
template <class Product>
Tensor nt_of_copies(const Product& nt, const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  const Tensor c_BMN = nt(a_BMK, b_BNK.index_select(0, b_of_a_B.clamp_min(0)));
  return c_BMN.masked_fill_(b_of_a_B.lt(0).view({-1, 1, 1}), 0);
}

struct GemvKernels {
  /// Up to so many rows these kernels are faster than libtorch's products; 0: never.
  int64_t most_rows, most_rows_of_fp32_weights;
  Tensor (*nt)(const Tensor& a_BMK, const Tensor& b_BNK);
  Tensor (*nt_shared)(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B);  // null: there is none
};
extern const GemvKernels gemv_reference, gemv_cpu, gemv_cuda;

}  // namespace ingrain::ops
