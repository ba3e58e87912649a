#include "ttt/steps/plain.h"

#include "ttt/steps/amortized.h"

namespace ingrain::ttt {
namespace {

bool is_alone(const Tensor& x) { return x.use_count() == 1 && x.storage().use_count() == 1; }
Tensor place_of_new(const Tensor& x) { return is_alone(x) || !x.is_cpu() ? x : at::empty_like(x); }
std::vector<Mlp> place_of_new(const std::vector<Mlp>& mlps) {
  std::vector<Mlp> out;
  for (const Mlp& mlp : mlps) out.push_back({place_of_new(mlp.w13_FD), place_of_new(mlp.w2_DF)});
  return out;
}

}  // namespace

FastState place_of_next(const ModelConfig& c, const Memory& m) {
  if (c.inner.step_delay == 0) return {place_of_new(m.W_S), place_of_new(m.M_S)};
  // The weights before the step stay for a while; those that did so until now make room.
  FastState out{{}, place_of_new(m.M_S)};
  for (size_t s = 0; s < m.W_S.size(); ++s) {
    const auto place = [&](const Tensor Mlp::* matrix) {
      const bool early = !m.early_S.empty() && is_alone(m.early_S[s].*matrix);
      return early ? m.early_S[s].*matrix : at::empty_like(m.W_S[s].*matrix);
    };
    out.W_S.push_back({place(&Mlp::w13_FD), place(&Mlp::w2_DF)});
  }
  return out;
}

void take_step(const ModelConfig& c, Memory& m, FastState next) {
  m.early_S = c.inner.step_delay > 0 ? std::move(m.W_S) : std::vector<Mlp>();
  m.W_S = std::move(next.W_S);
  m.M_S = std::move(next.M_S);
}

PlainSteps::PlainSteps(const StepContext& context)
    : model_(context.model),
      c_(context.model.config),
      w_(context.model.weights),
      m_(context.memory),
      options_(context.options) {}

InnerStep PlainSteps::step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) {
  const ChunkInput chunk = suffix_input(c_, m_, /*whole=*/true, h_BbD, rope);
  InnerStep out;
  out.gradient = gradient(chunk, tap);
  out.norm_B = move(out.gradient.g_S);
  // What the chunk leaves to later ones, and its scores, are those of the first pass.
  for (int64_t k = 1; k < c_.inner.steps; ++k) move(gradient_again(chunk).g_S);
  measure(chunk, out);
  return out;
}

void PlainSteps::measure(const ChunkInput& chunk, InnerStep& step) {
  if (options_.measure_steps) step.loss_after_B = gradient_again(chunk).loss_B;
}

Tensor PlainSteps::move(const std::vector<Mlp>& g_S) {
  FastState next = place_of_next(c_, m_);
  const Tensor eta_S = inner_rates(c_, w_, options_.rate_multiplier);
  const Tensor norm_B = inner_step({c_, w_.type()}, w_.fast_S, eta_S, {m_.W_S, m_.M_S}, g_S, next);
  take_step(c_, m_, std::move(next));
  return norm_B;
}

ChunkGradient PlainSteps::gradient_again(const ChunkInput& chunk) {
  return chunk_gradient(c_, w_, {m_.W_S}, chunk, m_.target_Bb, m_.valid_Bb);
}

ChunkGradient PlainSteps::gradient(const ChunkInput& chunk, const Tap& tap) {
  return chunk_gradient(c_, w_, weights_of(c_, m_, 0, c_.chunk), chunk, m_.target_Bb, m_.valid_Bb, tap);
}

std::unique_ptr<StepEngine> make_plain_steps(const StepContext& context) {
  return std::make_unique<PlainSteps>(context);
}

std::unique_ptr<StepEngine> make_step_engine(const StepContext& context, int64_t tokens, StepUnderWay& under_way) {
  const ReadOptions& options = context.options;
  if (amortizes(context.model, options, tokens)) return make_amortized_steps(context, under_way);
  const InnerRule& rule = context.model.config.inner;
  const bool same_each_time = options.learn && !options.tap && !options.measure_steps && rule.plain() &&
                              rule.steps == 1 && rule.step_delay == 0;
  if (same_each_time && !context.model.weights.device().is_cpu()) return make_graph_steps(context, tokens);
  return make_plain_steps(context);
}

}  // namespace ingrain::ttt
