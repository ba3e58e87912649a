#include "ops/ssd/parts.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
Tensor time_steps(const Tensor& raw_H, const Tensor& dt_bias_H) {
  TORCH_CHECK(raw_H.dim() > 0 && dt_bias_H.dim() == 1 && dt_bias_H.size(0) == raw_H.size(-1),
              "time_steps: ", raw_H.sizes(), " and ", dt_bias_H.sizes(), " do not fit each other");
  return captured([=] { return at::softplus(widened(raw_H) + dt_bias_H); });
}

Tensor negative_exp(const Tensor& A_log_H) {
  return captured([=] { return -A_log_H.exp(); });
}

Tensor rms_norm_of_gated(const Tensor& y, const Tensor& z, const Tensor& w_d, double eps, int64_t groups) {
  TORCH_CHECK(
      y.sizes() == z.sizes() && w_d.dim() == 1 && w_d.size(0) == y.size(-1) && groups > 0 && y.size(-1) % groups == 0,
      "rms_norm_of_gated: rows ", y.sizes(), ", gates ", z.sizes(), ", a scale ", w_d.sizes(), " and ", groups,
      " groups do not fit each other");
  return captured([=] {
    const Tensor gated = (widened(y) * at::silu(widened(z))).unflatten(-1, {groups, -1});
    const Tensor normed = gated * (gated.square().mean(-1, true) + eps).rsqrt();
    return (normed.flatten(-2) * w_d).to(y.scalar_type());
  });
}

}  // namespace ingrain::ops
