#include "ttt/chunk.h"

#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/sgd/sgd.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ttt {
namespace {

/// x, moved to a place in memory that is not autograd's.
struct PutFunction : torch::autograd::Function<PutFunction> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x, const Tensor& place) {
    place.copy_(x);
    return place.detach();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list grads) {
    return {grads[0], Tensor()};
  }
};

Tensor put(const Tensor& x_PBTGd, const Tensor& place_BTGd) {
  return PutFunction::apply(x_PBTGd, place_BTGd.unsqueeze(0));
}

}  // namespace

void SuffixPass::step(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S,
                      const ops::RopeTable& rope, const Attend& attend, const Tap& tap) {
  const int64_t at = ++made_, s = at / 3,
                i = c.prefix_len() + s;  // the first block's attention is step 0, made already
  if (s == c.suffix_len) {
    out_.x_PBTD = ops::rms_norm(h_PBTD_, w.final_norm_D, c.rms_eps);
    if (tap) tap("final_norm", -1, out_.x_PBTD);
    return;
  }
  const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
  if (at % 3 == 0) {
    const AttentionStep done = attention_step(c, block, h_PBTD_, attend, rope, tap, i);
    h_PBTD_ = done.h_PBTD;
    out_.kv_S1.push_back({done.k_PBTGd, done.v_PBTGd});
  } else if (at % 3 == 1) {
    h_PBTD_ = fast_step(c, block, h_PBTD_, fast_S[static_cast<size_t>(s)], tap, i);
  } else {
    h_PBTD_ = mlp_step(c, block, h_PBTD_, tap, i);
  }
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const Tensor& h_BTD,
                        const ops::RopeTable& rope, const Attend& attend, const Tap& tap) {
  SuffixPass pass(h_BTD);
  while (pass.made() < SuffixPass::steps(c)) pass.step(c, w, fast_S, rope, attend, tap);
  return std::move(pass).output();
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S,
                        const ChunkInput& in, const Tap& tap) {
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const auto s = static_cast<size_t>(block - c.prefix_len() - 1);
    if (in.own_S1.empty()) return attend_window(c, now, in.past_S1[s]);
    return attend_window(c, {now.q_PBTHd, put(now.k_PBTGd, in.own_S1[s].k_BWGd), put(now.v_PBTGd, in.own_S1[s].v_BWGd)},
                         in.past_S1[s]);
  };
  return run_suffix(c, w, fast_S, in.h_BTD, in.rope, attend, tap);
}

Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type) {
  const Tensor mask_BT = valid_BT.to(type);
  return mask_BT / mask_BT.sum(1, /*keepdim=*/true).clamp_min(1e-10);
}

ChunkGradient differentiate(const ModelConfig& c, const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                            const Tap& tap, const std::function<Start(const Tensor& x_PBTD)>& start) {
  const at::AutoGradMode grad(true);
  std::vector<FastMlp> fast_S;
  std::vector<Tensor> leaves;
  for (const Mlp& mlp : W_S) {
    FastMlp& fast = fast_S.emplace_back();
    fast.w = {mlp.w13_FD.detach().requires_grad_(), mlp.w2_DF.detach().requires_grad_()};
    if (!in.rounded_S.empty()) fast.rounded = in.rounded_S[fast_S.size() - 1];
    leaves.insert(leaves.end(), {fast.w.w13_FD, fast.w.w2_DF});
  }
  const SuffixOutput suffix = run_suffix(c, w, fast_S, in, tap);
  const Start from = start(suffix.x_PBTD);
  const auto g = torch::autograd::grad({from.of}, leaves, {from.cotangent});
  ChunkGradient out;
  for (size_t s = 0; s < W_S.size(); ++s) out.g_S.push_back({g[2 * s], g[2 * s + 1]});
  for (const auto& kv : suffix.kv_S1) out.kv_S1.push_back({kv.k_PBTGd.detach(), kv.v_PBTGd.detach()});
  return out;
}

ChunkGradient chunk_gradient(const ModelConfig& c, const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                             const Tensor& target_BT, const Tensor& valid_BT, const Tap& tap) {
  const Tensor weight_BT = mean_weights(valid_BT, master_type(w.type()));
  Tensor nll_BT;
  ChunkGradient out = differentiate(c, w, W_S, in, tap, [&](const Tensor& x_PBTD) {
    const auto loss =
        ops::linear_cross_entropy(x_PBTD.flatten(1, 2), w.head(), target_BT.flatten(), weight_BT.flatten());
    nll_BT = loss.nll_N.view_as(weight_BT);
    return Start{loss.objective, at::ones_like(loss.objective)};
  });
  out.nll_BT = nll_BT;
  out.loss_B = (weight_BT * nll_BT).sum(1);
  return out;
}

Tensor inner_step(const std::vector<Mlp>& W_S, const std::vector<Mlp>& g_S, const Tensor& eta_S, double clip,
                  const std::vector<Mlp>& out_S, const std::vector<Mlp>& rounded_S) {
  const auto flat = [](const std::vector<Mlp>& mlps) {
    std::vector<Tensor> out;
    for (const Mlp& mlp : mlps) out.insert(out.end(), {mlp.w13_FD, mlp.w2_DF});
    return out;
  };
  return ops::clipped_sgd(flat(W_S), flat(g_S), eta_S.repeat_interleave(2), clip, flat(out_S), flat(rounded_S));
}

Tensor inner_rates(const ModelConfig& c, const Weights& w, double multiplier) {
  const auto options = w.final_norm_D.options();
  if (w.inner_rate_S.defined()) return w.inner_rate_S.detach() * (c.inner_lr * multiplier);
  return at::full({c.suffix_len}, c.inner_lr * multiplier, options);
}

}  // namespace ingrain::ttt
