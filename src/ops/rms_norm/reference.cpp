#include "ops/rms_norm/rms_norm.h"

namespace ingrain::ops {
namespace {

Tensor mean_of_product(const Tensor& a, const Tensor& b) { return (a * b).mean(-1, /*keepdim=*/true); }

Tensor forward(const Tensor& residual, const Tensor& x_PND, const Tensor& w_D, double eps) {
  const Tensor x_P = x_PND.to(w_D.scalar_type());
  const Tensor x = primal(x_P);
  const Tensor r = (mean_of_product(x, x) + eps).rsqrt();
  Tensor y_P = (x * r * w_D).unsqueeze(0);
  if (is_dual(x_P)) {
    const Tensor dx = tangent(x_P);
    const Tensor dy = r * (dx - x * (r * r * mean_of_product(x, dx))) * w_D;
    y_P = at::cat({y_P, dy.unsqueeze(0)});
  }
  y_P = y_P.to(x_PND.scalar_type());
  if (residual.defined()) y_P.narrow(0, 0, planes(residual)).add_(residual);
  return y_P;
}

RmsNormKernels::Gradients backward(const Tensor& gy_PND, const Tensor& x_PND, const Tensor& w_D, double eps,
                                   bool want_w) {
  const Tensor x_P = x_PND.to(w_D.scalar_type()), gy_P = gy_PND.to(w_D.scalar_type());
  const Tensor x = primal(x_P);
  const Tensor r = (mean_of_product(x, x) + eps).rsqrt();
  const Tensor a = primal(gy_P) * w_D;
  Tensor gx_P = (r * (a - x * (r * r * mean_of_product(x, a)))).unsqueeze(0);
  Tensor gw_ND = want_w ? primal(gy_P) * x * r : Tensor();
  if (is_dual(x_P)) {
    const Tensor dx = tangent(x_P), c = tangent(gy_P) * w_D;
    const Tensor x_dx = mean_of_product(x, dx), x_c = mean_of_product(x, c), c_dx = mean_of_product(c, dx);
    const Tensor r3 = r * r * r;
    gx_P.select(0, 0).add_(x * (3 * r3 * r * r * x_dx * x_c) - r3 * (x * c_dx + c * x_dx + dx * x_c));
    gx_P = at::cat({gx_P, (r * c - x * (r3 * x_c)).unsqueeze(0)});
    if (want_w) gw_ND = gw_ND + tangent(gy_P) * (r * (dx - x * (r * r * x_dx)));
  }
  return {gx_P.to(x_PND.scalar_type()), want_w ? gw_ND.reshape({-1, w_D.size(0)}).sum(0) : Tensor()};
}

}  // namespace

const RmsNormKernels rms_norm_reference{forward, backward};

}  // namespace ingrain::ops
