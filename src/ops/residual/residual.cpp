#include "ops/residual/residual.h"

#include "ops/checks.h"
#include "ops/backend.h"

namespace ingrain::ops {

void check_residual(const char* operation, const Tensor& residual_P, const Tensor& x_P) {
  TORCH_CHECK(alike(residual_P, x_P) && residual_P.dim() == x_P.dim() && x_P.dim() >= 2 &&
                  (planes(residual_P) == 1 || planes(residual_P) == planes(x_P)) &&
                  residual_P.sizes().slice(1) == x_P.sizes().slice(1),
              operation, ": a residual ", residual_P.scalar_type(), " ", residual_P.sizes(), " does not fit ",
              x_P.scalar_type(), " ", x_P.sizes());
}

Tensor add_residual(const Tensor& residual_P, const Tensor& x_P, double scale) {
  check_residual("add_residual", residual_P, x_P);
  if (needs_graph(residual_P, x_P)) return residual_reference.forward(residual_P, x_P, scale);
  return select(x_P, residual_reference, residual_cpu, residual_cuda).forward(residual_P, x_P, scale);
}

}  // namespace ingrain::ops
