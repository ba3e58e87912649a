#include "ops/short_conv/short_conv.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {

ShortConv short_conv(const Tensor& x_BTC, const Tensor& w_CW, const Tensor& tail_BnC, const Tensor& bias_C) {
  TORCH_CHECK(
      x_BTC.dim() == 3 && w_CW.dim() == 2 && w_CW.size(0) == x_BTC.size(2) && w_CW.size(1) > 0 && alike(x_BTC, w_CW),
      "short_conv: rows ", x_BTC.scalar_type(), " ", x_BTC.sizes(), " do not fit weights ", w_CW.scalar_type(), " ",
      w_CW.sizes());
  const int64_t B = x_BTC.size(0), T = x_BTC.size(1), C = x_BTC.size(2), W = w_CW.size(1);
  const int64_t sizes_BnC[] = {B, W - 1, C};
  TORCH_CHECK(!tail_BnC.defined() || (tail_BnC.sizes() == at::IntArrayRef(sizes_BnC) && alike(tail_BnC, x_BTC)),
              "short_conv: the inputs before, ", tail_BnC.sizes(), ", must be ", at::IntArrayRef(sizes_BnC),
              ", like the rows");
  TORCH_CHECK(!bias_C.defined() || (bias_C.dim() == 1 && bias_C.size(0) == C && alike(bias_C, x_BTC)),
              "short_conv: a bias ", bias_C.sizes(), " must be [", C, "], like the rows");
  const Tensor all_BTC = captured([=] {
    return at::cat(
        {tail_BnC.defined() ? tail_BnC : at::zeros({B, W - 1, C}, x_BTC.options().requires_grad(false)), x_BTC}, 1);
  });
  const Tensor y_BTC = captured([=] {
    Tensor sum_BTC = all_BTC.narrow(1, 0, T) * w_CW.select(1, 0);
    for (int64_t j = 1; j < W; ++j) sum_BTC = sum_BTC + all_BTC.narrow(1, j, T) * w_CW.select(1, j);
    return at::silu(bias_C.defined() ? sum_BTC + bias_C : sum_BTC);
  });
  // Of its own, so that what is carried on does not keep all inputs alive.
  return {y_BTC, captured([=] { return all_BTC.narrow(1, T, W - 1).clone(); })};
}

}  // namespace ingrain::ops
