#include "ops/linear_cross_entropy/linear_cross_entropy.h"

#include "ops/checks.h"
#include "ops/backend.h"
#include "ops/linear_cross_entropy/call.h"
#include "ops/linear_cross_entropy/pieces.h"
#include "ops/linear/products.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// How many logits a block may hold: large enough for a product at full speed, small enough to stay in cache (CPU).
constexpr int64_t kBlockLogitsCpu = int64_t{1} << 21, kBlockLogitsGpu = int64_t{1} << 29;
/// But every block reads the whole head, and reads and writes its whole gradient: a large vocabulary wants many rows
/// for that.
constexpr int64_t kFewestRows = 256;

/// Above so many tokens of the vocabulary blocks of a CPU would be larger than they should.
constexpr int64_t kLargeVocabulary = kBlockLogitsCpu / kFewestRows;
/// Rows for which all pieces are taken, one after another: what is summed up for their gradients fits the cache.
constexpr int64_t kRowsOfPieces = 2048;

void check(const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N,
           const Tensor& E_sum_VD) {
  TORCH_CHECK(x_PND.dim() == 3 && (planes(x_PND) == 1 || planes(x_PND) == 2) && E_VD.dim() == 2 && E_VD.size(0) > 0 &&
                  E_VD.size(1) == x_PND.size(2),
              "linear_cross_entropy: rows ", x_PND.sizes(), " do not fit a head ", E_VD.sizes());
  TORCH_CHECK(alike(E_VD, x_PND), "linear_cross_entropy: the head must have the rows' type and device");
  const int64_t N = x_PND.size(1);
  TORCH_CHECK(target_N.dim() == 1 && target_N.size(0) == N && target_N.scalar_type() == at::kLong &&
                  target_N.device() == x_PND.device(),
              "linear_cross_entropy: targets ", target_N.sizes(), " must be ", N, " int64 on the rows' device");
  const auto weighs = [&](const Tensor& w_N) {
    return w_N.defined() && w_N.dim() == 1 && w_N.size(0) == N && is_wide_beside(w_N, x_PND);
  };
  TORCH_CHECK(weighs(a_N) && (planes(x_PND) == 1 || weighs(c_N)), "linear_cross_entropy: every plane needs ", N,
              " weights, fp32 (fp64 for fp64), on the rows' device");
  TORCH_CHECK(!E_sum_VD.defined() || (E_sum_VD.sizes() == E_VD.sizes() && is_wide_beside(E_sum_VD, x_PND)),
              "linear_cross_entropy: a sum of the head's gradients must be ", E_VD.sizes(),
              ", fp32 (fp64 for fp64), on the rows' device");
}

struct Result {
  Tensor objective, nll_N, gx_PND, gE_VD;
};

/// Whether the vocabulary, not the rows, is cut: where it is large, and the head's gradient, which every piece of rows
/// and of the vocabulary has a part of, is not wanted.
bool wants_pieces(const Tensor& x_PND, const Tensor& E_VD, bool want_E) {
  return x_PND.is_cpu() && planes(x_PND) == 1 && !want_E && E_VD.size(0) > kLargeVocabulary;
}

Result compute_in_pieces(const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N, const Tensor& a_N,
                         bool want_x) {
  const int64_t N = x_PND.size(1), V = E_VD.size(0);
  Result out;
  out.nll_N = at::empty({N}, a_N.options());
  if (want_x) out.gx_PND = at::empty_like(x_PND);
  const Tensor x_ND = primal(x_PND).detach();
  for (int64_t first = 0; first < N; first += kRowsOfPieces) {
    const int64_t n = std::min(kRowsOfPieces, N - first);
    const int64_t width = std::max(kBlockLogitsCpu / n / kCrossEntropyBlock, int64_t{1}) * kCrossEntropyBlock;
    CrossEntropyInPieces loss(x_ND.narrow(0, first, n), target_N.narrow(0, first, n), want_x);
    while (loss.added() < V) loss.add(E_VD, std::min(width, V - loss.added()));
    out.nll_N.narrow(0, first, n).copy_(loss.nll_N());
    if (!want_x) continue;
    const Tensor a_N1 = a_N.narrow(0, first, n).unsqueeze(1);
    primal(out.gx_PND).narrow(0, first, n).copy_(at::where(a_N1 == 0, 0, a_N1 * loss.gradient_ND(E_VD)));
  }
  out.objective = (a_N * out.nll_N).sum();
  return out;
}

Result compute(const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N,
               bool want_x, bool want_E, const Tensor& E_sum_VD) {
  if (wants_pieces(x_PND, E_VD, want_E)) return compute_in_pieces(x_PND, E_VD, target_N, a_N, want_x);
  const int64_t P = planes(x_PND), N = x_PND.size(1), D = x_PND.size(2), V = E_VD.size(0);
  const auto sums = x_PND.options().dtype(accumulate_type(x_PND.scalar_type()));
  Result out;
  out.gE_VD = E_sum_VD;
  out.nll_N = at::empty({N}, sums);
  Tensor tangent_nll_N = P == 2 ? at::empty({N}, sums) : Tensor();
  if (want_x) out.gx_PND = at::empty_like(x_PND);
  const int64_t block =
      std::clamp<int64_t>((x_PND.is_cuda() ? kBlockLogitsGpu : kBlockLogitsCpu) / (V * P), kFewestRows, 4096);
  for (int64_t first = 0; first < N; first += block) {
    const int64_t n = std::min(block, N - first);
    const auto part = [&](const Tensor& x_N) { return x_N.defined() ? x_N.narrow(0, first, n) : Tensor(); };
    const Tensor x = x_PND.narrow(1, first, n).reshape({P * n, D});
    Tensor z_PNV = product_nt(x, E_VD).view({P, n, V});
    Tensor nll = part(out.nll_N), tangent_nll = part(tangent_nll_N);
    cross_entropy_kernels(x_PND).rows(z_PNV, part(target_N), part(a_N), part(c_N), want_x || want_E, nll, tangent_nll);
    const Tensor gz = z_PNV.view({P * n, V});
    if (want_x) out.gx_PND.narrow(1, first, n).copy_(product_nn(gz, E_VD).view({P, n, D}));
    if (want_E) add_product_tn(out.gE_VD, gz, x);
  }
  out.objective = (a_N * out.nll_N).sum();
  if (P == 2) out.objective = out.objective - (c_N * tangent_nll_N).sum();
  if (want_E && !E_sum_VD.defined()) out.gE_VD = N == 0 ? at::zeros_like(E_VD) : out.gE_VD.to(E_VD.scalar_type());
  return out;
}

struct CrossEntropyFunction : torch::autograd::Function<CrossEntropyFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N,
                               const Tensor& a_N, const std::optional<Tensor>& c_N,
                               const std::optional<Tensor>& E_sum_VD) {
    const bool want_E = E_sum_VD || E_VD.requires_grad();
    const Result r = compute(x_PND, E_VD, target_N, a_N, c_N.value_or(Tensor()), x_PND.requires_grad(), want_E,
                             E_sum_VD.value_or(Tensor()));
    ctx->save_for_backward({r.gx_PND, E_sum_VD ? Tensor() : r.gE_VD});
    ctx->mark_non_differentiable({r.nll_N});
    return {r.objective, r.nll_N};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scaled = [&](const Tensor& g) { return g.defined() ? g * grads[0].to(g.scalar_type()) : Tensor(); };
    return {scaled(saved[0]), scaled(saved[1]), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

const CrossEntropyKernels& cross_entropy_kernels(const Tensor& x) {
  return select(x, cross_entropy_reference, cross_entropy_cpu, cross_entropy_cuda);
}

CrossEntropy linear_cross_entropy(const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N,
                                  const Tensor& value_weight_N, const Tensor& tangent_weight_N,
                                  const Tensor& E_sum_VD) {
  check(x_PND, E_VD, target_N, value_weight_N, tangent_weight_N, E_sum_VD);
  const Tensor E = E_sum_VD.defined() ? E_VD.detach() : E_VD;
  if (!needs_graph(x_PND, E)) {
    const at::NoGradGuard no_grad;
    const Result r = compute(x_PND, E, target_N, value_weight_N, tangent_weight_N, false, E_sum_VD.defined(), E_sum_VD);
    return {r.objective, r.nll_N};
  }
  const auto maybe = [](const Tensor& x) { return x.defined() ? std::optional<Tensor>(x) : std::nullopt; };
  const auto out =
      CrossEntropyFunction::apply(x_PND, E, target_N, value_weight_N, maybe(tangent_weight_N), maybe(E_sum_VD));
  return {out[0], out[1]};
}

}  // namespace ingrain::ops
