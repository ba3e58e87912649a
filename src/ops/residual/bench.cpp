// Rows of the residual addition.
#include "bench/ops/row.h"
#include "ops/residual/residual.h"

namespace ingrain::bench {
namespace {

using namespace ops;

}  // namespace

void residual_rows(const OpsRows& to) {
  const int64_t N = to.shape.T, D = to.shape.D;
  for (const int64_t P : to.planes())
    to.add("add_residual", P, "forward", fmt::format("{}x{}", N, D), {0, 3 * to.bytes(P * N * D)},
           [=](const OpsInputs& in) {
             const Tensor residual = in.random({P, N, D}), x = in.random({P, N, D});
             return of_kernels(x, residual_reference, residual_cpu, residual_cuda,
                               [=](const auto& k) { k.forward(residual, x, 1); });
           });
}

}  // namespace ingrain::bench
