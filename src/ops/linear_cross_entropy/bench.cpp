// Rows of the loss: its rows of logits alone, and with the head.
#include "bench/ops/row.h"
#include "ops/autograd.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"

namespace ingrain::bench {
namespace {

using namespace ops;

/// As many tokens as the head is multiplied with at once; the whole chunk on a GPU.
int64_t tokens_at_once(const OpsRows& to) { return to.on_cpu() ? std::min<int64_t>(to.shape.T, 64) : to.shape.T; }

struct LossInputs {
  Tensor x_PND, E_VD, target_N, a_N;

  LossInputs(const OpsInputs& in, int64_t P, int64_t N, int64_t D, int64_t V)
      : x_PND(in.random({P, N, D})),
        E_VD(in.random_fp32({V, D}).to(in.type)),
        target_N(at::randint(V, {N}, in.options().dtype(at::kLong))),
        a_N(in.ones(N) / static_cast<double>(N)) {}

  Tensor ours() const {
    return linear_cross_entropy(x_PND, E_VD, target_N, a_N, x_PND.size(0) == 2 ? a_N : Tensor()).objective;
  }
  Tensor libtorch() const { return at::cross_entropy_loss(at::linear(x_PND[0], E_VD), target_N); }

  /// The whole objective with its gradients: ours are computed with the value.
  Run gradient(Tensor (LossInputs::*loss)() const) const {
    return [*this, loss] {
      const at::AutoGradMode graph(true);
      LossInputs leaves = *this;
      leaves.x_PND = x_PND.detach().requires_grad_();
      leaves.E_VD = E_VD.detach().requires_grad_();
      gradients({(leaves.*loss)()}, {leaves.x_PND, leaves.E_VD});
    };
  }
};

void add_cross_entropy_rows(const OpsRows& to) {
  if (!to.is(OpsShape::Pass::chunk)) return;
  const int64_t N = tokens_at_once(to), V = to.shape.V;
  for (const int64_t P : to.planes()) {
    const double logits = to.bytes(P * N * V);
    for (const bool gradient : {false, true})
      to.add("cross_entropy", P, gradient ? "gradient" : "forward", fmt::format("{}x{}", N, V),
             {0, (gradient ? 3 : 1) * logits}, [=](const OpsInputs& in) {
               const Tensor z = in.random({P, N, V}), a = in.ones(N),
                            target = at::randint(V, {N}, in.options().dtype(at::kLong));
               const Tensor nll = at::empty_like(a), tangent_nll = at::empty_like(a);
               const auto rows = [=](const CrossEntropyKernels& k) {
                 Tensor logits_PNV = z, out = nll, tangent_out = tangent_nll;
                 k.rows(logits_PNV, target, a, a, gradient, out, tangent_out);
               };
               Contenders out = of_kernels(z, cross_entropy_reference, cross_entropy_cpu, cross_entropy_cuda, rows);
               if (P == 1 && !gradient)
                 out.libtorch = [=] { at::cross_entropy_loss(z[0], target, {}, at::Reduction::None); };
               return out;
             });
  }
}

}  // namespace

void linear_cross_entropy_rows(const OpsRows& to) {
  add_cross_entropy_rows(to);
  if (!to.is(OpsShape::Pass::chunk)) return;
  const int64_t N = to.on_cpu() ? std::min<int64_t>(to.shape.T, 256) : to.shape.T, D = to.shape.D, V = to.shape.V;
  for (const int64_t P : to.planes()) {
    const double product = 2.0 * static_cast<double>(P * N * V * D);
    const auto sizes = fmt::format("{}x{}x{}", N, V, D);
    to.add("linear_cross_entropy", P, "forward", sizes, {product, 0}, [=](const OpsInputs& in) {
      const LossInputs x(in, P, N, D, V);
      const Run ours = [=] { x.ours(); };
      return Contenders{ours, by_reference(ours), P == 1 ? Run([=] { x.libtorch(); }) : Run()};
    });
    to.add("linear_cross_entropy", P, "gradient", sizes, {3 * product, 0}, [=](const OpsInputs& in) {
      const LossInputs x(in, P, N, D, V);
      const Run ours = x.gradient(&LossInputs::ours);
      return Contenders{ours, by_reference(ours), P == 1 ? x.gradient(&LossInputs::libtorch) : Run()};
    });
  }
}

}  // namespace ingrain::bench
