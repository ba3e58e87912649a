#include "ops/gemv/gemv.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"

namespace ingrain::ops {
namespace {

Tensor expanded(const Tensor& w) { return is_quantized(w) ? ops::dequantize(w).to(w.scalar_type()) : w; }

Tensor plain_nt(const Tensor& a_MK, const Tensor& b_NK) { return at::mm(a_MK, expanded(b_NK).t()); }
Tensor plain_nn(const Tensor& a_MK, const Tensor& b_KN) { return at::mm(a_MK, expanded(b_KN)); }
Tensor plain_tn(const Tensor& a_KM, const Tensor& b_KN) { return at::mm(a_KM.t(), b_KN); }
void plain_add_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN) {
  const Tensor product_MN = at::mm(a_KM.t(), b_KN);
  if (sum_MN.defined())
    sum_MN.add_(product_MN);
  else
    sum_MN = product_MN.to(accumulate_type(a_KM.scalar_type()));
}

Tensor plain_batched_nt(const Tensor& a_BMK, const Tensor& b_BNK) { return at::bmm(a_BMK, b_BNK.transpose(1, 2)); }
Tensor plain_batched_nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  const auto nt = [](const Tensor& a, const Tensor& b) { return plain_batched_nt(a, b.to(a.scalar_type())); };
  return nt_of_copies(nt, a_BMK, b_BNK, b_of_a_B);
}
void plain_put_batched_nt(const Tensor& out_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  out_BMN.copy_(plain_batched_nt(a_BMK, b_BNK));
}
void plain_add_batched_nt(const Tensor& sum_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  sum_BMN.add_(plain_batched_nt(a_BMK, b_BNK));
}
Tensor plain_batched_tn(const Tensor& a_BKM, const Tensor& b_BKN, at::ScalarType type) {
  return at::bmm(a_BKM.transpose(1, 2), b_BKN).to(type);
}
void plain_add_batched_tn(const Tensor& sum_BMN, const Tensor& a_BKM, const Tensor& b_BKN) {
  sum_BMN.add_(at::bmm(a_BKM.transpose(1, 2), b_BKN));
}

Tensor plain_add_bias(const Tensor& y, const Tensor& bias_N) { return y + bias_N; }

}  // namespace

const ProductKernels product_reference{plain_nt,
                                       plain_nn,
                                       plain_tn,
                                       plain_add_tn,
                                       plain_batched_nt,
                                       plain_batched_nt_shared,
                                       plain_put_batched_nt,
                                       plain_add_batched_nt,
                                       plain_batched_tn,
                                       plain_add_batched_tn,
                                       plain_add_bias};

}  // namespace ingrain::ops
