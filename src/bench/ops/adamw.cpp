// Rows of AdamW's step.
#include "bench/ops/lists.h"

namespace ingrain::bench {
namespace {

struct AdamWState {
  Tensors w, g, first, second, steps;

  AdamWState(const OpsInputs& in, const Sizes& sizes) : w(make(in, sizes)), g(make(in, sizes)), first(make(in, sizes)) {
    for (const Tensor& x : w) {
      second.push_back(at::zeros_like(x));
      steps.push_back(at::ones({}, x.options()));
    }
  }
  void fused() const {
    at::_fused_adamw_(w, g, first, second, /*max_exp_avg_sqs=*/{}, steps, /*lr=*/kRate, /*beta1=*/0.9, /*beta2=*/0.95,
                      /*weight_decay=*/0.1, /*eps=*/1e-8, /*amsgrad=*/false, /*maximize=*/false);
  }
  /// The formulas, tensor by tensor; the bias corrections are numbers and cost nothing.
  void plain() const {
    for (size_t i = 0; i < w.size(); ++i) {
      Tensor x = w[i], m = first[i], v = second[i];
      m.lerp_(g[i], 0.1);
      v.mul_(0.95).addcmul_(g[i], g[i], 0.05);
      x.mul_(1 - kRate * 0.1).addcdiv_(m, v.sqrt().add_(1e-8), -kRate);
    }
  }
};

}  // namespace

void adamw_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::chunk) || to.inputs.type != at::kFloat) return;
  const Sizes sizes{{(s.H + 2 * s.G) * s.d, s.D}, {s.D, s.H * s.d}, {2 * s.F, s.D}, {s.D, s.F}};  // a block's
  // Weights and both moments read and written, the gradient read. Ours is libtorch's fused step.
  to.add("adamw", 1, "step", fmt::format("block{}x{}", s.D, s.F), {0, 28 * numbers(sizes)}, [=](const OpsInputs& in) {
    const AdamWState state(in, sizes);
    return Contenders{[=] { state.fused(); }, [=] { state.plain(); }};
  });
}

}  // namespace ingrain::bench
