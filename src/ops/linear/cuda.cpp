// Products on a GPU: our own for few rows, else cuBLAS, whose sums are taken as they are, without rounding them to the
// operands' type first, where a wider type is wanted.
#include "ops/gemv/gemv.h"
#include "ops/linear/products.h"

namespace ingrain::ops {
namespace {

Tensor cuda_nt(const Tensor& a_MK, const Tensor& b_NK) {
  return gemv_fits(a_MK, b_NK) ? gemv_nt(a_MK, b_NK) : at::mm(a_MK, b_NK.t());
}
Tensor cuda_nn(const Tensor& a_MK, const Tensor& b_KN) { return at::mm(a_MK, b_KN); }
Tensor cuda_tn(const Tensor& a_KM, const Tensor& b_KN) { return at::mm(a_KM.t(), b_KN); }

void cuda_add_batched_tn(const Tensor& sum_BMN, const Tensor& a_BKM, const Tensor& b_BKN) {
  if (sum_BMN.scalar_type() == a_BKM.scalar_type()) {
    sum_BMN.baddbmm_(a_BKM.transpose(1, 2), b_BKN);
  } else {
    Tensor out_BMN = sum_BMN;
    at::baddbmm_out(out_BMN, sum_BMN, a_BKM.transpose(1, 2), b_BKN, sum_BMN.scalar_type());
  }
}

void cuda_add_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN) {
  const at::ScalarType type = sum_MN.defined() ? sum_MN.scalar_type() : accumulate_type(a_KM.scalar_type());
  const bool wider = type != a_KM.scalar_type();
  if (!sum_MN.defined())
    sum_MN = wider ? at::mm(a_KM.t(), b_KN, type) : at::mm(a_KM.t(), b_KN);
  else if (!wider)
    sum_MN.addmm_(a_KM.t(), b_KN);
  else  // as a batch of one: addmm_out takes a sum of a wider type than its operands only since lately
    cuda_add_batched_tn(sum_MN.unsqueeze(0), a_KM.unsqueeze(0), b_KN.unsqueeze(0));
}

Tensor cuda_batched_nt(const Tensor& a_BMK, const Tensor& b_BNK) {
  return gemv_fits(a_BMK, b_BNK) ? gemv_nt(a_BMK, b_BNK) : at::bmm(a_BMK, b_BNK.transpose(1, 2));
}
Tensor cuda_batched_nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  if (gemv_fits(a_BMK, b_BNK)) return gemv_nt_shared(a_BMK, b_BNK, b_of_a_B);
  const auto nt = [](const Tensor& a, const Tensor& b) { return cuda_batched_nt(a, b.to(a.scalar_type())); };
  return nt_of_copies(nt, a_BMK, b_BNK, b_of_a_B);
}
void cuda_put_batched_nt(const Tensor& out_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  Tensor out = out_BMN;
  if (gemv_fits(a_BMK, b_BNK))
    out.copy_(gemv_nt(a_BMK, b_BNK));
  else
    at::bmm_out(out, a_BMK, b_BNK.transpose(1, 2));
}
void cuda_add_batched_nt(const Tensor& sum_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  sum_BMN.baddbmm_(a_BMK, b_BNK.transpose(1, 2));
}
Tensor cuda_batched_tn(const Tensor& a_BKM, const Tensor& b_BKN, at::ScalarType type) {
  return type != a_BKM.scalar_type() ? at::bmm(a_BKM.transpose(1, 2), b_BKN, type)
                                     : at::bmm(a_BKM.transpose(1, 2), b_BKN);
}

Tensor cuda_add_bias(const Tensor& y, const Tensor& bias_N) { return y + bias_N; }

}  // namespace

const ProductKernels product_cuda{cuda_nt,
                                  cuda_nn,
                                  cuda_tn,
                                  cuda_add_tn,
                                  cuda_batched_nt,
                                  cuda_batched_nt_shared,
                                  cuda_put_batched_nt,
                                  cuda_add_batched_nt,
                                  cuda_batched_tn,
                                  cuda_add_batched_tn,
                                  cuda_add_bias};

}  // namespace ingrain::ops
