// Rows of the two optimizers' steps. Their tensors are fp32 in every model, so they are among the rows in fp32.
#include "bench/ops/row.h"
#include "ops/sgd/sgd.h"

namespace ingrain::bench {
namespace {

using namespace ops;

using Tensors = std::vector<Tensor>;
using Sizes = std::vector<std::vector<int64_t>>;

constexpr double kRate = 1e-3, kClip = 1;

Tensors make(const OpsInputs& in, const Sizes& sizes) {
  Tensors out;
  for (const auto& each : sizes) out.push_back(in.random_fp32(each));
  return out;
}

double numbers(const Sizes& sizes) {
  double out = 0;
  for (const auto& each : sizes) out += static_cast<double>(c10::multiply_integers(each));
  return out;
}

/// The clipped step in libtorch's operations on lists.
void libtorch_sgd(const Tensors& w, const Tensors& g) {
  const Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(g)));
  const Tensor scale = (kClip / norm).clamp_max(1).mul(kRate);
  at::_foreach_sub_(w, at::_foreach_mul(g, scale));
}

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

void add_clipped_sgd(const OpsRows& to) {
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

void add_adamw(const OpsRows& to) {
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
