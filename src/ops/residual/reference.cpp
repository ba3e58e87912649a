#include "ops/residual/residual.h"

namespace ingrain::ops {
namespace {

Tensor forward(const Tensor& residual_P, const Tensor& x_P, double scale) {
  if (planes(residual_P) == planes(x_P)) return at::add(residual_P, x_P, scale);
  const Tensor dx = scale == 1 ? tangent(x_P) : tangent(x_P) * scale;
  return at::stack({at::add(primal(residual_P), primal(x_P), scale), dx});
}

}  // namespace

const ResidualKernels residual_reference{forward};

}  // namespace ingrain::ops
