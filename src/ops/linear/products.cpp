#include "ops/linear/products.h"

#include "ops/checks.h"
#include "ops/simd/processor.h"
#include "ops/gemv/gemv.h"
#include "ops/quantized/quantized.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace ingrain::ops {
namespace {

using OneDnnLinear = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

/// MKL keeps its best kernels for Intel's processors.
bool prefers_onednn() { return is_amd() && vectors() >= Vectors::avx512; }

/// x wᵀ by oneDNN's fp32 kernels; strided views are taken as they are.
Tensor onednn_linear(const Tensor& x_MK, const Tensor& w_NK) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<OneDnnLinear>();
  return op.call(x_MK, w_NK, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

/// Small products are not worth oneDNN's set-up; fp32 on the CPU only.
bool use_onednn(const Tensor& a, int64_t m, int64_t n, int64_t k) {
  static const bool preferred = prefers_onednn();
  return preferred && a.scalar_type() == at::kFloat && a.is_cpu() && m >= 8 && n >= 8 && m * n * k >= 32768;
}

bool lacks_bf16(const Tensor& a) { return a.is_cpu() && a.scalar_type() == at::kBFloat16 && !has_native_bf16(); }

using Product = Tensor (*)(const Tensor&, const Tensor&);
Tensor through_fp32(Product product, const Tensor& a, const Tensor& b) {
  return product(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
}

}  // namespace

Tensor product_nt(const Tensor& a_MK, const Tensor& b_NK) {
  if (quantized_format(b_NK)) return quantized_nt(a_MK, b_NK);
  if (gemv_fits(a_MK, b_NK)) return gemv_nt(a_MK, b_NK);
  if (lacks_bf16(a_MK)) return through_fp32(product_nt, a_MK, b_NK);
  if (use_onednn(a_MK, a_MK.size(0), b_NK.size(0), b_NK.size(1))) return onednn_linear(a_MK, b_NK);
  return at::mm(a_MK, b_NK.t());
}

Tensor product_nn(const Tensor& a_MK, const Tensor& b_KN) {
  if (lacks_bf16(a_MK)) return through_fp32(product_nn, a_MK, b_KN);
  if (use_onednn(a_MK, a_MK.size(0), b_KN.size(1), b_KN.size(0))) return onednn_linear(a_MK, b_KN.t());
  return at::mm(a_MK, b_KN);
}

Tensor product_tn(const Tensor& a_KM, const Tensor& b_KN) {
  if (lacks_bf16(a_KM)) return through_fp32(product_tn, a_KM, b_KN);
  // oneDNN wants its left operand's rows contiguous to be at its best, and one transposed copy is cheaper than none.
  if (use_onednn(a_KM, a_KM.size(1), b_KN.size(1), a_KM.size(0))) return onednn_linear(a_KM.t(), b_KN.t().contiguous());
  return at::mm(a_KM.t(), b_KN);
}

void add_product_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN) {
  const at::ScalarType sums = accumulate_type(a_KM.scalar_type());
  if (!a_KM.is_cuda()) {
    const Tensor product_MN = product_tn(a_KM, b_KN);
    sum_MN = sum_MN.defined() ? sum_MN.add_(product_MN) : product_MN.to(sums);
    return;
  }
  const bool wider = (sum_MN.defined() ? sum_MN.scalar_type() : sums) != a_KM.scalar_type();
  if (!sum_MN.defined()) {
    sum_MN = wider ? at::mm(a_KM.t(), b_KN, sums) : at::mm(a_KM.t(), b_KN);
  } else if (!wider) {
    sum_MN.addmm_(a_KM.t(), b_KN);
  } else {
    // As a batch of one: addmm_out takes a sum of a wider type than its operands only since lately.
    Tensor sum_1MN = sum_MN.unsqueeze(0);
    at::baddbmm_out(sum_1MN, sum_1MN, a_KM.t().unsqueeze(0), b_KN.unsqueeze(0), sum_MN.scalar_type());
  }
}

}  // namespace ingrain::ops
