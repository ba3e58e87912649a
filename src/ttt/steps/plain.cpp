#include "ttt/steps/plain.h"

#include "ttt/steps/amortized.h"

namespace ingrain::ttt {
namespace {

/// Where the step's result goes: in place, unless a fork uses the tensor, too.
Tensor place_of_new(const Tensor& x) {
  const bool alone = x.use_count() == 1 && x.storage().use_count() == 1;
  return alone || !x.is_cpu() ? x : at::empty_like(x);
}

}  // namespace

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
  std::vector<Mlp> new_S;
  for (const Mlp& mlp : m_.W_S) new_S.push_back({place_of_new(mlp.w13_FD), place_of_new(mlp.w2_DF)});
  out.norm_B =
      inner_step(m_.W_S, out.gradient.g_S, inner_rates(c_, w_, options_.rate_multiplier), c_.inner_clip, new_S);
  m_.W_S = std::move(new_S);
  if (options_.measure_steps)
    out.loss_after_B = chunk_gradient(c_, w_, m_.W_S, chunk, m_.target_Bb, m_.valid_Bb).loss_B;
  return out;
}

ChunkGradient PlainSteps::gradient(const ChunkInput& chunk, const Tap& tap) {
  return chunk_gradient(c_, w_, m_.W_S, chunk, m_.target_Bb, m_.valid_Bb, tap);
}

std::unique_ptr<StepEngine> make_plain_steps(const StepContext& context) {
  return std::make_unique<PlainSteps>(context);
}

std::unique_ptr<StepEngine> make_step_engine(const StepContext& context, int64_t tokens,
                                             std::unique_ptr<AmortizedChunk>& ahead) {
  const ReadOptions& options = context.options;
  if (amortizes(context.model, options, tokens)) return make_amortized_steps(context, ahead);
  const bool same_each_time = options.learn && !options.tap && !options.measure_steps;
  if (same_each_time && !context.model.weights.device().is_cpu()) return make_graph_steps(context, tokens);
  return make_plain_steps(context);
}

}  // namespace ingrain::ttt
