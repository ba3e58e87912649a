// Matrix products, by whichever library is fastest for these operands here. Errors are libtorch's.
#pragma once

#include "ops/checks.h"

namespace ingrain::ops {

Tensor product_nt(const Tensor& a_MK, const Tensor& b_NK);  // a bᵀ, [M, N]; b may be quantized (ops/quantized)
Tensor product_nn(const Tensor& a_MK, const Tensor& b_KN);  // a b,  [M, N]; b may be quantized
Tensor product_tn(const Tensor& a_KM, const Tensor& b_KN);  // aᵀ b, [M, N]

/// sum += aᵀ b; an undefined sum becomes the product, in a's accumulate_type. sum: a's type, or that wider one, to
/// which a GPU adds without rounding the product first.
void add_product_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN);

/// The products of one type and device. B: a product per sequence.
struct ProductKernels {
  Tensor (*nt)(const Tensor& a_MK, const Tensor& b_NK);
  Tensor (*nn)(const Tensor& a_MK, const Tensor& b_KN);
  Tensor (*tn)(const Tensor& a_KM, const Tensor& b_KN);
  void (*add_tn)(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN);
  Tensor (*batched_nt)(const Tensor& a_BMK, const Tensor& b_BNK);
  /// gemv_nt_shared (ops/gemv): entry i of a meets entry b_of_a[i] of b; none where that is negative, which gives 0.
  Tensor (*batched_nt_shared)(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B);
  void (*put_batched_nt)(const Tensor& out_BMN, const Tensor& a_BMK, const Tensor& b_BNK);  // out = a bᵀ
  void (*add_batched_nt)(const Tensor& sum_BMN, const Tensor& a_BMK, const Tensor& b_BNK);  // sum += a bᵀ
  /// aᵀ b in `type`, a's or a wider one; and added to a sum of such a type.
  Tensor (*batched_tn)(const Tensor& a_BKM, const Tensor& b_BKN, at::ScalarType type);
  void (*add_batched_tn)(const Tensor& sum_BMN, const Tensor& a_BKM, const Tensor& b_BKN);
  /// y + bias, the bias for every row.
  Tensor (*add_bias)(const Tensor& y, const Tensor& bias_N);
};
extern const ProductKernels product_reference, product_cpu, product_cuda;

/// Those for products of a.
const ProductKernels& products_for(const Tensor& a);

}  // namespace ingrain::ops
