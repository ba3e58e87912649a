#include "ttt/read_call.h"

#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ttt/prefix.h"

#include <algorithm>

namespace ingrain::ttt {

ReadCall::ReadCall(const StepContext& context, Callbacks& callbacks, FiniteCheck& finite,
                   std::unique_ptr<StepEngine> steps, bool more_calls)
    : model_(context.model),
      c_(context.model.config),
      w_(context.model.weights),
      m_(context.memory),
      options_(context.options),
      callbacks_(callbacks),
      finite_(finite),
      steps_(std::move(steps)),
      more_calls_(more_calls) {}

void ReadCall::prefill(const Tensor& tokens_Bn, const std::optional<Tensor>& next_B, const Tensor& nll_Bn) {
  const int64_t n = tokens_Bn.size(1);
  const auto rope = rope_of(m_.position, n);
  const auto prefix_rope =
      options_.fp32_angles ? rope_table_fp32(c_, m_.position, n, master_type(w_.type()), w_.device()) : rope;
  const Tensor h_BnD = run_prefix(c_, model_.weights, tokens_Bn, prefix_rope, rope, m_.layer_L, options_.tap);
  // Position i's target is token i + 1; the last one's may not be known yet.
  const Tensor last = next_B ? next_B->unsqueeze(1) : at::full_like(tokens_Bn.narrow(1, 0, 1), kUnknownTarget);
  const Tensor target_Bn = at::cat({tokens_Bn.narrow(1, 1, n - 1), last}, 1);
  for (int64_t first = 0; first < n;) {
    const int64_t count = std::min(n - first, c_.suffix_len > 0 ? c_.chunk - m_.filled : n);
    const bool targets_known = first + count < n || next_B.has_value();
    piece(h_BnD.narrow(1, first, count), target_Bn.narrow(1, first, count), slice(rope, first, count),
          nll_Bn.narrow(1, first, count), targets_known);
    first += count;
  }
}

void ReadCall::set_last_target(const Tensor& token_B) {
  if (m_.filled == 0) return;
  set_targets(c_, m_, m_.filled - 1, token_B.unsqueeze(1), options_.learn_these);
  if (m_.filled == c_.chunk) return learn_stored_chunk();
  if (more_calls_) steps_->advance(m_.filled);
}

void ReadCall::learn_stored_chunk() {
  if (!options_.learn) {
    m_.early_S.clear();  // without a step, W_S is what was before it
    return forget_chunk();
  }
  finish(steps_->step(m_.h_BbD, rope_of(m_.chunk_begin(), c_.chunk), Tap()));
}

/// `count` tokens of the current chunk. A whole chunk whose targets are known is scored and learnt from in one pass.
void ReadCall::piece(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn,
                     bool targets_known) {
  const int64_t count = h_BnD.size(1);
  if (c_.suffix_len > 0) set_targets(c_, m_, m_.filled, target_Bn, options_.learn_these);
  if (options_.learn && c_.suffix_len > 0 && count == c_.chunk && targets_known) {
    const InnerStep step = steps_->step(h_BnD, rope, options_.tap);
    m_.position += count;
    carry_on(step.gradient.kv_S1, step.gradient.state_S1);
    nll_Bn.copy_(step.gradient.nll_BT);
    return finish(step);
  }
  score(h_BnD, target_Bn, rope, nll_Bn, targets_known);
  m_.position += count;
  if (c_.suffix_len == 0) return;
  m_.h_BbD.narrow(1, m_.filled, count).copy_(h_BnD);
  m_.filled += count;
  if (m_.filled == c_.chunk && targets_known) learn_stored_chunk();
}

/// Scores without learning, with the weights as they are; keeps the last position's output for the next token.
void ReadCall::score(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn,
                     bool targets_known) {
  const std::vector<FastMlp> fast_S = fast_mlps(weights_of(c_, m_, m_.filled, h_BnD.size(1)));
  const Weights& w = model_.weights;
  const SuffixOutput out = run_suffix(c_, w, fast_S, suffix_input(c_, m_, /*whole=*/false, h_BnD, rope), options_.tap);
  carry_on(out.kv_S1, out.state_S1);
  m_.x_BD = ops::primal(out.x_PBTD).select(1, -1).clone();
  // Only the last target can be unknown. Alone (decoding) it is not worth a product with the head; with others it
  // gets a score that nobody reads.
  if (h_BnD.size(1) == 1 && !targets_known) return;
  const Tensor ones = at::ones({target_Bn.numel()}, nll_Bn.options());
  const auto loss =
      ops::linear_cross_entropy(out.x_PBTD.flatten(1, 2), w_.head(), target_Bn.clamp_min(0).flatten(), ones);
  nll_Bn.copy_(loss.nll_N.view_as(target_Bn));
}

void ReadCall::finish(const InnerStep& step) {
  const int64_t number = m_.steps;
  m_.steps += c_.inner.steps;
  if (options_.finite) finite_.step(m_.position - c_.chunk, step.gradient.loss_B, step.norm_B);
  forget_chunk();
  callbacks_.on_step({number, step.gradient.loss_B, step.norm_B, step.loss_after_B}, m_, step.gradient.g_S);
}

void ReadCall::forget_chunk() {
  m_.filled = 0;
  for (int64_t i = c_.prefix_len() + 1; i < c_.num_layers; ++i) m_.layer_L[static_cast<size_t>(i)].end_chunk(c_);
}

/// What a pass has left to suffix blocks 1.., as in SuffixOutput.
void ReadCall::carry_on(const std::vector<SuffixOutput::Kv>& kv_S1, const std::vector<RecurrentState>& state_S1) {
  for (size_t s = 0; s < kv_S1.size(); ++s) {
    LayerState& layer = m_.layer_L[static_cast<size_t>(c_.prefix_len()) + 1 + s];
    if (layer.recurrent())
      layer.set_now(state_S1[s]);
    else
      layer.kv().append(ops::primal(kv_S1[s].k_PBTGd), ops::primal(kv_S1[s].v_PBTGd));
  }
}

Rope ReadCall::rope_of(int64_t first, int64_t count) const {
  return rope_table(c_, first, count, master_type(w_.type()), w_.device());
}

}  // namespace ingrain::ttt
