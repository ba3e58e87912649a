#include "ttt/steps/under_way.h"

#include "base/error.h"
#include "ttt/read_call.h"

#include <utility>

namespace ingrain::ttt {

AmortizedChunk& StepUnderWay::chunk(const StepContext& context) {
  forget_chunk_unless_of(context.memory);
  return chunk_ ? *chunk_ : chunk_.emplace(context.model.config, context.memory, context.options.ahead);
}

const AmortizedChunk* StepUnderWay::chunk_if_any(const Memory& memory) const {
  return chunk_ && chunk_->belongs_to(memory) ? &*chunk_ : nullptr;
}

void StepUnderWay::forget_chunk_unless_of(const Memory& memory) {
  if (!chunk_if_any(memory)) chunk_.reset();
}

bool StepUnderWay::delays(const StepContext& context) {
  const ModelConfig& c = context.model.config;
  return c.inner.step_delay > 0 && context.memory.filled == c.chunk && amortizes(context.model, context.options, 1) &&
         !context.options.measure_steps;
}

void StepUnderWay::begin(const StepContext& context) {
  begun_.emplace();
  begun_->rate_multiplier = context.options.rate_multiplier;
  begun_->ahead = context.options.ahead;
  begun_->finite = context.options.finite;
  chunk(context).begin_step(context.options.rate_multiplier);
}

void StepUnderWay::work(const Network& model, const Memory& memory, int64_t tokens) {
  while (chunk_->step_due(tokens)) chunk_->make_step_unit(model.weights, memory);
}

void StepUnderWay::finish(const Network& model, Memory& memory) {
  if (!begun_) return;
  ReadOptions options = *begun_;
  Finished finished;
  options.on_step = [&](const StepReport& step, const Memory&, const std::vector<Mlp>& g_S) {
    finished.step = step;
    finished.g_S = g_S;
  };
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model, memory, options};
  ReadCall(context, callbacks, finite, make_amortized_steps(context, *this), /*more_calls=*/true).learn_stored_chunk();
  finished.problem = finite.problem_of_steps();
  finished_ = std::move(finished);
  begun_.reset();
  chunk_.reset();
}

void StepUnderWay::drop() {
  if (begun_) chunk_.reset();
  begun_.reset();
  finished_.reset();
}

std::exception_ptr StepUnderWay::report(const Memory& memory, const ReadOptions& options) {
  const std::optional<Finished> step = std::exchange(finished_, std::nullopt);
  if (!step) return nullptr;
  if (!step->problem.empty()) return std::make_exception_ptr(Error(step->problem));
  Callbacks callbacks(options);
  callbacks.on_step(step->step, memory, step->g_S);
  return callbacks.thrown();
}

void StepUnderWay::require_finite() const {
  if (finished_) require(finished_->problem.empty(), "{}", finished_->problem);
}

}  // namespace ingrain::ttt
