#include "ops/gated_delta/parts.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {

Tensor l2_norm(const Tensor& x_Hd, double eps, int64_t times) {
  TORCH_CHECK(x_Hd.dim() >= 2 && times > 0, "l2_norm: rows ", x_Hd.sizes(), ", ", times, " times");
  return captured([=] {
    const Tensor wide = widened(x_Hd);
    const Tensor normed = (wide * (wide.square().sum(-1, true) + eps).rsqrt()).to(x_Hd.scalar_type());
    return times == 1 ? normed : normed.repeat_interleave(times, -2);
  });
}

Tensor gated_rms_norm(const Tensor& x, const Tensor& z, const Tensor& w_d, double eps, OutputGate gate) {
  TORCH_CHECK(x.sizes() == z.sizes() && w_d.dim() == 1 && w_d.size(0) == x.size(-1), "gated_rms_norm: rows ", x.sizes(),
              ", gates ", z.sizes(), " and a scale ", w_d.sizes(), " do not fit each other");
  return captured([=] {
    const Tensor wide = widened(x);
    const Tensor normed = wide * (wide.square().mean(-1, true) + eps).rsqrt() * w_d;
    const Tensor gate_z = gate == OutputGate::silu ? at::silu(widened(z)) : widened(z).sigmoid();
    return (normed * gate_z).to(x.scalar_type());
  });
}

DeltaGates delta_gates(const Tensor& a, const Tensor& b, const Tensor& A_log_H, const Tensor& dt_bias_H) {
  TORCH_CHECK(a.sizes() == b.sizes() && a.dim() > 0 && A_log_H.dim() == 1 && A_log_H.sizes() == dt_bias_H.sizes() &&
                  A_log_H.size(0) == a.size(-1),
              "delta_gates: ", a.sizes(), ", ", b.sizes(), ", ", A_log_H.sizes(), " and ", dt_bias_H.sizes(),
              " do not fit each other");
  return {captured([=] { return -A_log_H.exp() * at::softplus(widened(a) + dt_bias_H); }),
          captured([=] { return widened(b).sigmoid(); })};
}

}  // namespace ingrain::ops
