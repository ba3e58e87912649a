// Rows of RMSNorm.
#include "bench/ops/row.h"
#include "ops/rms_norm/rms_norm.h"

namespace ingrain::bench {
namespace {

using namespace ops;

constexpr double kNormEps = 1e-6;

}  // namespace

void rms_norm_rows(const OpsRows& to) {
  const int64_t N = to.shape.T, D = to.shape.D;
  const auto sizes = fmt::format("{}x{}", N, D);
  for (const int64_t P : to.planes()) {
    const double planes = to.bytes(P * N * D);
    for (const bool with_residual : {false, true})
      to.add(with_residual ? "add_rms_norm" : "rms_norm", P, "forward", sizes, {0, (with_residual ? 3 : 2) * planes},
             [=](const OpsInputs& in) {
               const Tensor x = in.random({P, N, D}), w = in.ones(D),
                            residual = with_residual ? in.random({P, N, D}) : Tensor();
               Contenders out = of_kernels(x, rms_norm_reference, rms_norm_cpu, rms_norm_cuda,
                                           [=](const auto& k) { k.forward(residual, x, w, kNormEps); });
               if (P == 1)
                 out.libtorch = [=, w = w.to(in.type)] {
                   const Tensor y = at::rms_norm(x, {D}, w, kNormEps);
                   if (with_residual) residual + y;
                 };
               return out;
             });
    if (to.is(OpsShape::Pass::token)) continue;
    to.add("rms_norm", P, "backward", sizes, {0, 3 * planes}, [=](const OpsInputs& in) {
      const Tensor x = in.random({P, N, D}), gy = in.random({P, N, D}), w = in.ones(D);
      Contenders out = of_kernels(x, rms_norm_reference, rms_norm_cpu, rms_norm_cuda,
                                  [=](const auto& k) { k.backward(gy, x, w, kNormEps, /*want_w=*/true); });
      if (P == 1) {
        const at::AutoGradMode graph(true);
        const Tensor leaf = x.detach().requires_grad_(), scale = w.to(in.type).requires_grad_();
        out.libtorch = backward_of(at::rms_norm(leaf, {D}, scale, kNormEps), gy, {leaf, scale});
      }
      return out;
    });
  }
}

}  // namespace ingrain::bench
