// Rows of the gate.
#include "bench/ops/row.h"
#include "ops/swiglu/swiglu.h"

namespace ingrain::bench {
namespace {

using namespace ops;

}  // namespace

void swiglu_rows(const OpsRows& to) {
  const int64_t N = to.shape.T, F = to.shape.F;
  const auto sizes = fmt::format("{}x{}", N, F);
  const auto gate = [=](const Tensor& ab) { return at::silu(ab.narrow(-1, 0, F)) * ab.narrow(-1, F, F); };
  for (const int64_t P : to.planes()) {
    const double plane = to.bytes(P * N * F);
    to.add("swiglu", P, "forward", sizes, {0, 3 * plane}, [=](const OpsInputs& in) {
      const Tensor ab = in.random({P, N, 2 * F});
      Contenders out =
          of_kernels(ab, swiglu_reference, swiglu_cpu, swiglu_cuda, [=](const auto& k) { k.forward(ab, Gate::silu); });
      if (P == 1) out.libtorch = [=] { gate(ab); };
      return out;
    });
    if (to.is(OpsShape::Pass::token)) continue;
    to.add("swiglu", P, "backward", sizes, {0, 5 * plane}, [=](const OpsInputs& in) {
      const Tensor ab = in.random({P, N, 2 * F}), gu = in.random({P, N, F});
      Contenders out = of_kernels(ab, swiglu_reference, swiglu_cpu, swiglu_cuda,
                                  [=](const auto& k) { k.backward(gu, ab, Gate::silu); });
      if (P == 1) {
        const at::AutoGradMode graph(true);
        const Tensor leaf = ab.detach().requires_grad_();
        out.libtorch = backward_of(gate(leaf), gu, {leaf});
      }
      return out;
    });
  }
}

}  // namespace ingrain::bench
