// Matrix products through libtorch, by whichever of its libraries is fastest here: oneDNN for fp32 on AMD
// processors with AVX-512 (where MKL stays at AVX2), libtorch's own choice elsewhere, our own kernels for few rows.
#pragma once

#include "ops/checks.h"

namespace ingrain::ops {

Tensor product_nt(const Tensor& a_MK, const Tensor& b_NK);  // a bᵀ, [M, N]; b may be quantized (ops/quantized)
Tensor product_nn(const Tensor& a_MK, const Tensor& b_KN);  // a b,  [M, N]
Tensor product_tn(const Tensor& a_KM, const Tensor& b_KN);  // aᵀ b, [M, N]

/// sum += aᵀ b; an undefined sum becomes the product, in a's accumulate_type. sum: a's type, or that wider one, to
/// which a GPU adds without rounding the product first.
void add_product_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN);

}  // namespace ingrain::ops
