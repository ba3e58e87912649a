#include "ttt/block_stack.h"

#include "model/mixers/attention/attention.h"
#include "ops/embedding/embedding.h"

namespace ingrain::ttt {

BlockStack::BlockStack(const ModelConfig& config, const GradientSums& gradients, int64_t blocks, bool mixer_of_next,
                       Recompute recompute, std::function<void()> pause)
    : c_(config),
      gradients_(gradients),
      blocks_(blocks),
      mixer_of_next_(mixer_of_next),
      recompute_(recompute),
      pause_(std::move(pause)) {
  // Below the lowest trained parameter the backward pass has nothing to compute, and the forward pass nothing to keep.
  if (gradients.sums().embedding_VD.defined()) return;
  while (lowest_ < stages() && !any_trained(entries_of(lowest_))) ++lowest_;
}

Tensor BlockStack::run(int64_t stage, const Tensor& h_PBTD, const Weights& w, const Tap& tap) const {
  const BlockWeights& block = w.blocks[static_cast<size_t>(stage)];
  const Carry nothing_before{[&](int64_t layer, const ops::Heads& now) { return attend_window(c_, layer, now, {}); },
                             [](int64_t, const auto& run) {
                               RecurrentState state;
                               return run(state);
                             }};
  Tensor h = mixer_step(c_, block, h_PBTD, nothing_before, rope_, tap, stage);
  if (stage == blocks_) return h;
  if (stage >= c_.prefix_len())
    h = fast_step(c_, block, h, {w.fast_S[static_cast<size_t>(stage - c_.prefix_len())], {}}, tap, stage);
  return mlp_step(c_, block, h, tap, stage);
}

std::vector<GradientSums::Entry> BlockStack::entries_of(int64_t stage) const {
  auto out = gradients_.slow(Step::mixer, stage);
  if (stage == blocks_) return out;
  if (stage >= c_.prefix_len()) {
    append(out, gradients_.slow(Step::fast, stage));
    append(out, gradients_.initial_fast(stage));
  }
  append(out, gradients_.slow(Step::mlp, stage));
  return out;
}

Tensor BlockStack::forward(const Tensor& tokens_BT, const Rope& rope, const Tap& tap) {
  tokens_BT_ = tokens_BT;
  rope_ = rope;
  kept_.clear();
  Tensor h_PBTD = ops::embedding(gradients_.leaves().embedding_VD.detach(), tokens_BT, c_.embedding_scale).unsqueeze(0);
  if (tap) tap("embed", -1, h_PBTD);
  for (int64_t i = 0; i < stages(); ++i) {
    if (pause_) pause_();
    Stage& stage = kept_.emplace_back();
    if (i >= lowest_) stage.in_PBTD = h_PBTD.detach().requires_grad_();
    if (i >= lowest_ && recompute_ == Recompute::never) {
      const at::AutoGradMode grad(true);
      stage.out_PBTD = run(i, stage.in_PBTD, gradients_.leaves(), tap);
      h_PBTD = stage.out_PBTD.detach();
    } else {
      const at::NoGradGuard no_grad;
      h_PBTD = run(i, h_PBTD, gradients_.leaves(), tap);
    }
  }
  return ops::primal(h_PBTD);
}

void BlockStack::backward(const Tensor& g_BTD, const std::function<void(int64_t first)>& settled) {
  const Tensor& embedding_sum = gradients_.sums().embedding_VD;
  Tensor g_PBTD = g_BTD.unsqueeze(0);
  for (int64_t i = stages() - 1; i >= lowest_; --i) {
    if (pause_) pause_();
    Stage& stage = kept_[static_cast<size_t>(i)];
    if (!stage.out_PBTD.defined()) {
      const at::AutoGradMode grad(true);
      stage.out_PBTD = run(i, stage.in_PBTD, gradients_.leaves(), {});
    }
    g_PBTD = GradientSums::backward({stage.out_PBTD}, {g_PBTD}, entries_of(i), {stage.in_PBTD})[0];
    stage = {};
    if (settled) settled(gradients_.begin_of_block(i));
  }
  if (embedding_sum.defined()) {
    const Tensor g_ND = ops::primal(g_PBTD).flatten(0, 1).to(embedding_sum.scalar_type());
    const double scale = c_.embedding_scale == 1 ? 1 : ops::rounded_to(gradients_.leaves().type(), c_.embedding_scale);
    embedding_sum.index_add_(0, tokens_BT_.flatten(), g_ND, scale);
  }
  kept_.clear();
}

}  // namespace ingrain::ttt
