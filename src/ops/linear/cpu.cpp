// Products on the CPU: our own for few rows and quantized weights, else one of libtorch's libraries: oneDNN for fp32 on
// AMD processors with AVX-512 (where MKL stays at AVX2), libtorch's own choice elsewhere.
#include "ops/gemv/gemv.h"
#include "ops/graph/captured.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"
#include "ops/simd/processor.h"

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

/// Small products are not worth oneDNN's set-up.
bool use_onednn(const Tensor& a, int64_t m, int64_t n, int64_t k) {
  static const bool preferred = prefers_onednn();
  return preferred && a.scalar_type() == at::kFloat && m >= 8 && n >= 8 && m * n * k >= 32768;
}

bool lacks_bf16(const Tensor& a) { return a.scalar_type() == at::kBFloat16 && !has_native_bf16(); }

using Product = Tensor (*)(const Tensor&, const Tensor&);
Tensor through_fp32(Product product, const Tensor& a, const Tensor& b) {
  return product(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
}

Tensor cpu_nt(const Tensor& a_MK, const Tensor& b_NK);
Tensor cpu_nn(const Tensor& a_MK, const Tensor& b_KN);

/// Many rows meet quantized weights as they would meet native ones, a tile of rows of w at a time.
Tensor nt_by_tiles(const Tensor& a_MK, const Tensor& w_NK) {
  Tensor c_MN;
  for_each_tile(w_NK, a_MK.scalar_type(), [&](int64_t first, const Tensor& w_RK) {
    const Tensor part_MR = cpu_nt(a_MK, w_RK);
    if (w_RK.size(0) == w_NK.size(0)) {
      c_MN = part_MR;
      return;
    }
    if (!c_MN.defined()) c_MN = at::empty({a_MK.size(0), w_NK.size(0)}, a_MK.options());
    c_MN.narrow(1, first, w_RK.size(0)).copy_(part_MR);
  });
  return c_MN;
}

/// Here a tile gives a part of every sum; those are added in fp32.
Tensor nn_by_tiles(const Tensor& a_MK, const Tensor& w_KN) {
  Tensor c_MN;
  for_each_tile(w_KN, a_MK.scalar_type(), [&](int64_t first, const Tensor& w_RN) {
    const Tensor part_MN = cpu_nn(a_MK.narrow(1, first, w_RN.size(0)), w_RN);
    if (!c_MN.defined() && w_RN.size(0) < w_KN.size(0))
      c_MN = part_MN.to(at::kFloat);
    else
      c_MN = c_MN.defined() ? c_MN.add_(part_MN) : part_MN;
  });
  return c_MN.to(a_MK.scalar_type());
}

Tensor cpu_nt(const Tensor& a_MK, const Tensor& b_NK) {
  if (is_quantized(b_NK))
    return a_MK.size(0) <= kFewRowsOfQuantized ? quantized_nt(a_MK, b_NK) : nt_by_tiles(a_MK, b_NK);
  if (gemv_fits(a_MK, b_NK)) return gemv_nt(a_MK, b_NK);
  if (lacks_bf16(a_MK)) return through_fp32(cpu_nt, a_MK, b_NK);
  if (use_onednn(a_MK, a_MK.size(0), b_NK.size(0), b_NK.size(1))) return onednn_linear(a_MK, b_NK);
  return at::mm(a_MK, b_NK.t());
}

Tensor cpu_nn(const Tensor& a_MK, const Tensor& b_KN) {
  if (is_quantized(b_KN)) return nn_by_tiles(a_MK, b_KN);
  if (lacks_bf16(a_MK)) return through_fp32(cpu_nn, a_MK, b_KN);
  if (use_onednn(a_MK, a_MK.size(0), b_KN.size(1), b_KN.size(0))) return onednn_linear(a_MK, b_KN.t());
  return at::mm(a_MK, b_KN);
}

Tensor cpu_tn(const Tensor& a_KM, const Tensor& b_KN) {
  if (lacks_bf16(a_KM)) return through_fp32(cpu_tn, a_KM, b_KN);
  // oneDNN wants its left operand's rows contiguous to be at its best, and one transposed copy is cheaper than none.
  if (use_onednn(a_KM, a_KM.size(1), b_KN.size(1), a_KM.size(0))) return onednn_linear(a_KM.t(), b_KN.t().contiguous());
  return at::mm(a_KM.t(), b_KN);
}

void cpu_add_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN) {
  const Tensor product_MN = cpu_tn(a_KM, b_KN);
  sum_MN = sum_MN.defined() ? sum_MN.add_(product_MN) : product_MN.to(accumulate_type(a_KM.scalar_type()));
}

/// One sequence at a time: that is as fast here.
Tensor of_each(Product product, const Tensor& a_B, const Tensor& b_B) {
  if (a_B.size(0) == 1) return product(a_B[0], b_B[0]).unsqueeze(0);
  std::vector<Tensor> parts;
  for (int64_t b = 0; b < a_B.size(0); ++b) parts.push_back(product(a_B[b], b_B[b]));
  return at::stack(parts);
}

Tensor cpu_batched_nt(const Tensor& a_BMK, const Tensor& b_BNK) {
  return gemv_fits(a_BMK, b_BNK) ? gemv_nt(a_BMK, b_BNK) : of_each(cpu_nt, a_BMK, b_BNK);
}
Tensor cpu_batched_nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  if (gemv_fits(a_BMK, b_BNK)) return gemv_nt_shared(a_BMK, b_BNK, b_of_a_B);
  const auto nt = [](const Tensor& a, const Tensor& b) { return cpu_batched_nt(a, b.to(a.scalar_type())); };
  return nt_of_copies(nt, a_BMK, b_BNK, b_of_a_B);
}
void cpu_put_batched_nt(const Tensor& out_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  out_BMN.copy_(cpu_batched_nt(a_BMK, b_BNK));
}
void cpu_add_batched_nt(const Tensor& sum_BMN, const Tensor& a_BMK, const Tensor& b_BNK) {
  sum_BMN.add_(cpu_batched_nt(a_BMK, b_BNK));
}
Tensor cpu_batched_tn(const Tensor& a_BKM, const Tensor& b_BKN, at::ScalarType type) {
  return of_each(cpu_tn, a_BKM, b_BKN).to(type);
}
void cpu_add_batched_tn(const Tensor& sum_BMN, const Tensor& a_BKM, const Tensor& b_BKN) {
  sum_BMN.add_(of_each(cpu_tn, a_BKM, b_BKN));
}

Tensor cpu_add_bias(const Tensor& y, const Tensor& bias_N) {
  return captured([=] { return y + bias_N; });
}

}  // namespace

const ProductKernels product_cpu{cpu_nt,
                                 cpu_nn,
                                 cpu_tn,
                                 cpu_add_tn,
                                 cpu_batched_nt,
                                 cpu_batched_nt_shared,
                                 cpu_put_batched_nt,
                                 cpu_add_batched_nt,
                                 cpu_batched_tn,
                                 cpu_add_batched_tn,
                                 cpu_add_bias};

}  // namespace ingrain::ops
