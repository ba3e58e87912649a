#include "ttt/chunk.h"

#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/sgd/sgd.h"

#include <torch/csrc/autograd/autograd.h>

namespace ingrain::ttt {

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const Tensor& h_BTD,
                        const ops::RopeTable& rope, const Attend& attend, const Tap& tap) {
  SuffixOutput out;
  Tensor h_PBTD = h_BTD.unsqueeze(0);
  for (int64_t s = 0; s < c.suffix_len; ++s) {
    const int64_t i = c.prefix_len() + s;
    const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
    if (s > 0) {
      auto step = attention_step(c, block, h_PBTD, attend, rope, tap, i);
      h_PBTD = step.h_PBTD;
      out.kv_S1.push_back({step.k_PBTGd, step.v_PBTGd});
    }
    h_PBTD = fast_step(c, block, h_PBTD, fast_S[static_cast<size_t>(s)], tap, i);
    h_PBTD = mlp_step(c, block, h_PBTD, tap, i);
  }
  out.x_PBTD = ops::rms_norm(h_PBTD, w.final_norm_D, c.rms_eps);
  if (tap) tap("final_norm", -1, out.x_PBTD);
  return out;
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const ChunkInput& in,
                        const Tap& tap) {
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    return attend_window(c, now, in.past_S1[static_cast<size_t>(block - c.prefix_len() - 1)]);
  };
  return run_suffix(c, w, fast_S, in.h_BTD, in.rope, attend, tap);
}

Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type) {
  const Tensor mask_BT = valid_BT.to(type);
  return mask_BT / mask_BT.sum(1, /*keepdim=*/true).clamp_min(1e-10);
}

ChunkGradient chunk_gradient(const ModelConfig& c, const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                             const Tensor& target_BT, const Tensor& valid_BT, const Tap& tap) {
  const at::AutoGradMode grad(true);
  std::vector<FastMlp> fast_S;
  std::vector<Tensor> leaves;
  for (const Mlp& mlp : W_S) {
    FastMlp& fast = fast_S.emplace_back();
    fast.w = {mlp.w13_FD.detach().requires_grad_(), mlp.w2_DF.detach().requires_grad_()};
    leaves.insert(leaves.end(), {fast.w.w13_FD, fast.w.w2_DF});
  }
  const SuffixOutput suffix = run_suffix(c, w, fast_S, in, tap);
  const Tensor weight_BT = mean_weights(valid_BT, master_type(w.type()));
  const auto loss = ops::linear_cross_entropy(suffix.x_PBTD.flatten(1, 2), w.head(), target_BT.flatten(), weight_BT.flatten());
  const auto g = torch::autograd::grad({loss.objective}, leaves);
  ChunkGradient out;
  out.nll_BT = loss.nll_N.view_as(weight_BT);
  out.loss_B = (weight_BT * out.nll_BT).sum(1);
  for (size_t s = 0; s < W_S.size(); ++s) out.g_S.push_back({g[2 * s], g[2 * s + 1]});
  for (const auto& kv : suffix.kv_S1) out.kv_S1.push_back({kv.k_PBTGd.detach(), kv.v_PBTGd.detach()});
  return out;
}

Tensor inner_step(const std::vector<Mlp>& W_S, const std::vector<Mlp>& g_S, const Tensor& eta_S, double clip,
                  const std::vector<Mlp>& out_S) {
  const auto flat = [](const std::vector<Mlp>& mlps) {
    std::vector<Tensor> out;
    for (const Mlp& mlp : mlps) out.insert(out.end(), {mlp.w13_FD, mlp.w2_DF});
    return out;
  };
  return ops::clipped_sgd(flat(W_S), flat(g_S), eta_S.repeat_interleave(2), clip, flat(out_S));
}

Tensor inner_rates(const ModelConfig& c, const Weights& w, double multiplier) {
  const auto options = w.final_norm_D.options();
  if (w.inner_rate_S.defined()) return w.inner_rate_S.detach() * (c.inner_lr * multiplier);
  return at::full({c.suffix_len}, c.inner_lr * multiplier, options);
}

}  // namespace ingrain::ttt
