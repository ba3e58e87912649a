#include "ttt/suffix.h"

#include "model/mixers/attention/attention.h"
#include "ops/rms_norm/rms_norm.h"

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

std::vector<FastMlp> fast_mlps(const ChunkWeights& weights) {
  std::vector<FastMlp> out;
  for (size_t s = 0; s < weights.W_S.size(); ++s) {
    FastMlp& fast = out.emplace_back(FastMlp{weights.W_S[s]});
    if (weights.early_rows == 0) continue;
    fast.early = weights.early_S[s];
    fast.early_rows = weights.early_rows;
  }
  return out;
}

void SuffixPass::next(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const Rope& rope,
                      const Carry& carry, const Tap& tap) {
  enum { mixer, fast, mlp, sublayers_a_block };
  const int64_t at = ++passed_;  // the first block's mixer, sublayer 0, was passed with the prefix
  const int64_t s = at / sublayers_a_block, i = c.prefix_len() + s;
  if (s == c.suffix_len) {
    x_PBTD_ = ops::rms_norm(h_PBTD_, w.final_norm_D, c.rms_eps);
    if (tap) tap("final_norm", -1, x_PBTD_);
    return;
  }
  const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
  if (at % sublayers_a_block == mixer) {
    h_PBTD_ = mixer_step(c, block, h_PBTD_, carry, rope, tap, i);
  } else if (at % sublayers_a_block == fast) {
    h_PBTD_ = fast_step(c, block, h_PBTD_, fast_S[static_cast<size_t>(s)], tap, i);
  } else {
    h_PBTD_ = mlp_step(c, block, h_PBTD_, tap, i);
  }
}

Tensor run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const Tensor& h_BTD,
                  const Rope& rope, const Carry& carry, const Tap& tap) {
  SuffixPass pass(h_BTD);
  while (pass.passed() < SuffixPass::sublayers(c)) pass.next(c, w, fast_S, rope, carry, tap);
  return pass.x_PBTD();
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S,
                        const ChunkInput& in, const Tap& tap) {
  SuffixOutput out;
  out.kv_S1.resize(in.past_S1.size());
  out.state_S1 = in.state_S1;
  out.state_S1.resize(in.past_S1.size());
  const auto index = [&](int64_t block) { return static_cast<size_t>(block - c.prefix_len() - 1); };
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const size_t s = index(block);
    out.kv_S1[s] = {now.k_PBTGd, now.v_PBTGd};
    if (in.own_S1.empty()) return attend_window(c, block, now, in.past_S1[s]);
    ops::Heads heads = now;
    heads.k_PBTGd = put(now.k_PBTGd, in.own_S1[s].k_BWGd);
    heads.v_PBTGd = put(now.v_PBTGd, in.own_S1[s].v_BWGd);
    return attend_window(c, block, heads, in.past_S1[s]);
  };
  const auto recur = [&](int64_t block, const auto& run) { return run(out.state_S1[index(block)]); };
  out.x_PBTD = run_suffix(c, w, fast_S, in.h_BTD, in.rope, {attend, recur}, tap);
  return out;
}

}  // namespace ingrain::ttt
