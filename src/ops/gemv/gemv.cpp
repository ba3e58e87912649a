#include "ops/gemv/gemv.h"

#include "ops/backend.h"

namespace ingrain::ops {
namespace {

const GemvKernels& kernels(const Tensor& a) { return select(a, gemv_reference, gemv_cpu, gemv_cuda); }

}  // namespace

const GemvKernels gemv_reference{0, 0, nullptr, nullptr};  // libtorch's products are the reference

bool gemv_fits(const Tensor& a_BMK, const Tensor& b_BNK) {
  const GemvKernels& k = kernels(a_BMK);
  const auto type = a_BMK.scalar_type(), weight_type = b_BNK.scalar_type();
  return a_BMK.size(-2) <= (weight_type == at::kFloat ? k.most_rows_of_fp32_weights : k.most_rows) &&
         a_BMK.numel() > 0 && b_BNK.numel() > 0 && (weight_type == type || weight_type == at::kFloat) &&
         b_BNK.stride(-1) == 1 && a_BMK.device() == b_BNK.device();
}

Tensor gemv_nt(const Tensor& a_BMK, const Tensor& b_BNK) {
  const int64_t axes = a_BMK.dim();
  TORCH_CHECK(b_BNK.dim() == axes && (axes == 2 || (axes == 3 && a_BMK.size(0) == b_BNK.size(0))) &&
                  a_BMK.size(-1) == b_BNK.size(-1) && gemv_fits(a_BMK, b_BNK),
              "gemv_nt: rows ", a_BMK.scalar_type(), " ", a_BMK.sizes(), " do not fit weights ", b_BNK.scalar_type(),
              " ", b_BNK.sizes());
  return kernels(a_BMK).nt(a_BMK, b_BNK);
}

Tensor gemv_nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  TORCH_CHECK(a_BMK.dim() == 3 && b_BNK.dim() == 3 && a_BMK.size(-1) == b_BNK.size(-1) && gemv_fits(a_BMK, b_BNK),
              "gemv_nt_shared: rows ", a_BMK.scalar_type(), " ", a_BMK.sizes(), " on ", a_BMK.device(),
              " do not fit weights ", b_BNK.scalar_type(), " ", b_BNK.sizes());
  TORCH_CHECK(b_of_a_B.scalar_type() == at::kLong && b_of_a_B.dim() == 1 && b_of_a_B.size(0) == a_BMK.size(0) &&
                  b_of_a_B.is_contiguous() && b_of_a_B.device() == a_BMK.device(),
              "gemv_nt_shared: ", b_of_a_B.scalar_type(), " ", b_of_a_B.sizes(),
              " must say of each batch entry whose weights it meets");
  if (kernels(a_BMK).nt_shared) return kernels(a_BMK).nt_shared(a_BMK, b_BNK, b_of_a_B);
  return nt_of_copies(gemv_nt, a_BMK, b_BNK, b_of_a_B);
}

}  // namespace ingrain::ops
