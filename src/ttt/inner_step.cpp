#include "ttt/inner_step.h"

#include "ops/autograd.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"

namespace ingrain::ttt {

Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type) {
  const Tensor mask_BT = valid_BT.to(type);
  return mask_BT / mask_BT.sum(1, /*keepdim=*/true).clamp_min(1e-10);
}

ChunkGradient differentiate(const ModelConfig& c, const Weights& w, const ChunkWeights& W, const ChunkInput& in,
                            const Tap& tap, const std::function<Start(const Tensor& x_PBTD)>& start) {
  const at::AutoGradMode grad(true);
  std::vector<FastMlp> fast_S = fast_mlps(W);
  std::vector<Tensor> leaves;
  const auto leaf = [&](Tensor& x) { leaves.push_back(x = x.detach().requires_grad_()); };
  for (size_t s = 0; s < fast_S.size(); ++s) {
    if (!in.rounded_S.empty()) fast_S[s].rounded = in.rounded_S[s];
    leaf(fast_S[s].w.w13_FD), leaf(fast_S[s].w.w2_DF);
  }
  for (size_t s = 0; W.early_rows > 0 && s < fast_S.size(); ++s)
    leaf(fast_S[s].early.w13_FD), leaf(fast_S[s].early.w2_DF);
  const SuffixOutput suffix = run_suffix(c, w, fast_S, in, tap);
  const Start from = start(suffix.x_PBTD);
  const auto g = ops::gradients({from.of}, leaves, {from.cotangent});
  ChunkGradient out;
  for (size_t s = 0; s < fast_S.size(); ++s) out.g_S.push_back({g[2 * s], g[2 * s + 1]});
  for (size_t s = 0, early = 2 * fast_S.size(); W.early_rows > 0 && s < fast_S.size(); ++s) {
    out.g_S[s].w13_FD.add_(g[early + 2 * s]);
    out.g_S[s].w2_DF.add_(g[early + 2 * s + 1]);
  }
  const auto detached = [](const Tensor& x) { return x.defined() ? x.detach() : x; };
  for (const auto& kv : suffix.kv_S1) out.kv_S1.push_back({detached(kv.k_PBTGd), detached(kv.v_PBTGd)});
  for (const RecurrentState& state : suffix.state_S1) {
    RecurrentState& left = out.state_S1.emplace_back();
    for (const Tensor& x : state) left.push_back(x.detach());
  }
  return out;
}

ChunkGradient chunk_gradient(const ModelConfig& c, const Weights& w, const ChunkWeights& W, const ChunkInput& in,
                             const Tensor& target_BT, const Tensor& valid_BT, const Tap& tap) {
  const Tensor weight_BT = mean_weights(valid_BT, master_type(w.type()));
  Tensor nll_BT;
  ChunkGradient out = differentiate(c, w, W, in, tap, [&](const Tensor& x_PBTD) {
    const auto L = ops::linear_cross_entropy(x_PBTD.flatten(1, 2), w.head(), target_BT.flatten(), weight_BT.flatten());
    nll_BT = L.nll_N.view_as(weight_BT);
    return Start{L.objective, at::ones_like(L.objective)};
  });
  out.nll_BT = nll_BT;
  out.loss_B = (weight_BT * nll_BT).sum(1);
  return out;
}

Tensor inner_rates(const ModelConfig& c, const Weights& w, double multiplier) {
  if (w.inner_rate_S.defined()) return w.inner_rate_S.detach() * (c.inner_lr * multiplier);
  return at::full({c.suffix_len}, c.inner_lr * multiplier, w.final_norm_D.options());
}

}  // namespace ingrain::ttt
