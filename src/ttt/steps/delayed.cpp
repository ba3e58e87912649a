#include "ttt/steps/delayed.h"

#include "base/error.h"
#include "ttt/read_call.h"

namespace ingrain::ttt {

bool DelayedStep::fits(const StepContext& context) {
  const ModelConfig& c = context.model.config;
  return c.inner.step_delay > 0 && context.memory.filled == c.chunk && amortizes(context.model, context.options, 1) &&
         !context.options.measure_steps;
}

void DelayedStep::begin(const StepContext& context, std::unique_ptr<AmortizedChunk>& ahead) {
  begun_ = std::make_unique<ReadOptions>();
  begun_->rate_multiplier = context.options.rate_multiplier;
  begun_->ahead = context.options.ahead;
  begun_->finite = context.options.finite;
  amortized_chunk(context, ahead).begin_step(context.options.rate_multiplier);
}

void DelayedStep::finish(const Network& model, Memory& memory, std::unique_ptr<AmortizedChunk>& ahead) {
  if (!begun_) return;
  ReadOptions options = *begun_;
  auto finished = std::make_unique<Finished>();
  options.on_step = [&](const StepReport& step, const Memory&, const std::vector<Mlp>& g_S) {
    finished->step = step;
    finished->g_S = g_S;
  };
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model, memory, options};
  ReadCall(context, callbacks, finite, make_amortized_steps(context, ahead), /*more_calls=*/true).learn_stored_chunk();
  finished->problem = finite.problem_of_steps();
  finished_ = std::move(finished);
  begun_.reset();
  ahead.reset();
}

void DelayedStep::drop() {
  begun_.reset();
  finished_.reset();
}

std::exception_ptr DelayedStep::report(const Memory& memory, const ReadOptions& options) {
  const std::unique_ptr<Finished> step = std::move(finished_);
  if (!step) return nullptr;
  if (!step->problem.empty()) return std::make_exception_ptr(Error(step->problem));
  Callbacks callbacks(options);
  callbacks.on_step(step->step, memory, step->g_S);
  return callbacks.thrown();
}

void DelayedStep::require_finite() const {
  if (finished_) require(finished_->problem.empty(), "{}", finished_->problem);
}

}  // namespace ingrain::ttt
