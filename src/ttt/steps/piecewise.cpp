#include "ttt/steps/piecewise.h"

#include "model/mixers/attention/attention.h"
#include "model/rope.h"
#include "ops/autograd.h"
#include "ttt/steps/plain.h"

namespace ingrain::ttt {

Tensor mean_of_sum(const Tensor& weight_BT) { return weight_BT.amax(1); }

PiecewiseStep::PiecewiseStep(const ModelConfig& config, const Weights& weights, const Memory& memory,
                             PassedChunk& chunk, double rate_multiplier)
    : c_(config),
      w_(weights),
      m_(memory),
      chunk_(chunk),
      rope_(rope_table(config, memory.chunk_begin(), config.chunk, master_type(weights.type()), weights.device())),
      past_(suffix_input(config, memory, /*whole=*/true, memory.h_BbD, rope_)),
      weights_(weights_of(config, memory, 0, config.chunk)),
      eta_S_(inner_rates(config, weights, rate_multiplier)) {
  const Tensor weight_BT = mean_weights(memory.valid_Bb, chunk.nll_BT.scalar_type());
  g_PBTD_ = (chunk.gx_PBTD * mean_of_sum(weight_BT).view({1, -1, 1, 1})).to(weights.type());
  step_.gradient.nll_BT = chunk.nll_BT;
  step_.gradient.loss_B = (weight_BT * chunk.nll_BT).sum(1);
  step_.gradient.g_S.resize(weights_.W_S.size());
}

void PiecewiseStep::make_unit() {
  const int64_t sublayers = SuffixPass::sublayers(c_);
  if (made_ < sublayers)
    pass_back(sublayers - 1 - made_);
  else
    optimize(made_ - sublayers);
  ++made_;
}

void PiecewiseStep::pass_back(int64_t sublayer) {
  const Tensor g_in_PBTD = sublayer > 0 ? at::empty_like(g_PBTD_) : Tensor();
  const int64_t early = SuffixPass::fast_block(c_, sublayer) ? weights_.early_rows : 0;
  if (early > 0) pass_back(sublayer, 0, early, g_in_PBTD);
  pass_back(sublayer, early, c_.chunk - early, g_in_PBTD);
  g_PBTD_ = g_in_PBTD;
}

/// Of tokens first .. first + count - 1, which have the same fast weights.
void PiecewiseStep::pass_back(int64_t sublayer, int64_t first, int64_t count, const Tensor& g_in_PBTD) {
  const at::AutoGradMode grad(true);
  const auto of_these = [&](const Tensor& x_PBTD) { return x_PBTD.narrow(2, first, count); };
  const Tensor whole_PBTD = sublayer > 0 ? chunk_.in_PBTD[static_cast<size_t>(sublayer)] : m_.h_BbD.unsqueeze(0);
  const Tensor h_PBTD = of_these(whole_PBTD).contiguous().detach();
  std::vector<Tensor> inputs;
  if (sublayer > 0) inputs.push_back(h_PBTD.requires_grad_());
  std::vector<FastMlp> fast_S(weights_.W_S.size());
  const auto block = SuffixPass::fast_block(c_, sublayer);
  if (block) {
    const auto s = static_cast<size_t>(*block);
    const Mlp& W = first < weights_.early_rows ? weights_.early_S[s] : weights_.W_S[s];
    fast_S[s].w = {W.w13_FD.detach().requires_grad_(), W.w2_DF.detach().requires_grad_()};
    inputs.insert(inputs.end(), {fast_S[s].w.w13_FD, fast_S[s].w.w2_DF});
  }
  const auto index = [&](int64_t layer) { return static_cast<size_t>(layer - c_.prefix_len() - 1); };
  const auto attend = [&](int64_t layer, const ops::Heads& now) {
    return attend_window(c_, layer, now, past_.past_S1[index(layer)]);
  };
  const auto recur = [&](int64_t layer, const auto& run) {
    RecurrentState state = past_.state_S1[index(layer)];
    return run(state);
  };
  SuffixPass pass(h_PBTD, sublayer);
  {
    const ops::ActivationCache::Scope reusing(chunk_.activations, ops::ActivationCache::Mode::reuse, first, count,
                                              chunk_.call[static_cast<size_t>(sublayer)]);
    pass.next(c_, w_, fast_S, rope_, {attend, recur});
  }
  const Tensor& out_PBTD = pass.passed() == SuffixPass::sublayers(c_) ? pass.x_PBTD() : pass.h_PBTD();
  const auto g = ops::gradients({out_PBTD}, inputs, {of_these(g_PBTD_).contiguous()});
  auto next = g.begin();
  if (sublayer > 0) of_these(g_in_PBTD).copy_(*next++);
  if (!block) return;
  Mlp& sum = step_.gradient.g_S[static_cast<size_t>(*block)];
  if (!sum.w13_FD.defined()) {
    sum = {next[0], next[1]};
    return;
  }
  sum.w13_FD.add_(next[0]);
  sum.w2_DF.add_(next[1]);
}

void PiecewiseStep::optimize(int64_t block) {
  if (block == 0) {
    step_.norm_B = inner_norm(step_.gradient.g_S);
    weights_ = {};  // nobody needs the early ones now: the step's result goes there
    next_ = place_of_next(c_, m_);
  }
  inner_step_of_block({c_, w_.type()}, block, w_.fast_S, eta_S_, {m_.W_S, m_.M_S}, step_.gradient.g_S, step_.norm_B,
                      next_);
}

InnerStep PiecewiseStep::take(Memory& memory) {
  take_step(c_, memory, std::move(next_));
  return std::move(step_);
}

}  // namespace ingrain::ttt
