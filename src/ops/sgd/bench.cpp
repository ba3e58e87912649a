// Rows of the inner step.
#include "bench/ops/lists.h"
#include "ops/sgd/sgd.h"

namespace ingrain::bench {
namespace {

using namespace ops;

/// The clipped step in libtorch's operations on lists.
void libtorch_sgd(const Tensors& w, const Tensors& g) {
  const Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(g)));
  const Tensor scale = (kClip / norm).clamp_max(1).mul(kRate);
  at::_foreach_sub_(w, at::_foreach_mul(g, scale));
}

}  // namespace

void sgd_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::chunk) || to.inputs.type != at::kFloat) return;
  Sizes sizes;
  for (int64_t i = 0; i < s.S; ++i) {
    sizes.push_back({1, 2 * s.F, s.D});
    sizes.push_back({1, s.D, s.F});
  }
  // g twice, for its norm and for the step; w read and written.
  to.add("clipped_sgd", 1, "step", fmt::format("{}x3x{}x{}", s.S, s.F, s.D), {0, 16 * numbers(sizes)},
         [=](const OpsInputs& in) {
           const Tensors w = make(in, sizes), g = make(in, sizes);
           const Tensor eta = in.ones(static_cast<int64_t>(w.size())) * kRate;
           Contenders out = of_kernels(w[0], sgd_reference, sgd_cpu, sgd_cuda,
                                       [=](const auto& k) { k.step(w, g, eta, kClip, w, {}); });
           out.libtorch = [=] { libtorch_sgd(w, g); };
           return out;
         });
}

}  // namespace ingrain::bench
