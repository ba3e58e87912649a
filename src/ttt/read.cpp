#include "ttt/read.h"

#include "base/error.h"
#include "model/device.h"
#include "model/vocabulary.h"
#include "ttt/read_call.h"
#include "ttt/steps/under_way.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace ingrain::ttt {
namespace {

/// A GPU wants long ones: a product of 2048 rows is two or three tiles for each of its multiprocessors, the last of
/// them half idle, and the window is copied before the new keys once a prefill. A CPU gains nothing beyond 2048.
int64_t prefill_tokens(const ReadOptions& options, at::Device device) {
  if (options.prefill > 0) return options.prefill;
  return device.is_cpu() ? 2048 : 8192;
}

}  // namespace

Tensor as_batch(std::span<const int32_t> tokens) {
  const Tensor out = at::empty({1, static_cast<int64_t>(tokens.size())}, at::kLong);
  std::copy(tokens.begin(), tokens.end(), out.data_ptr<int64_t>());
  return out;
}

ReadResult read(const Network& model, Memory& memory, const Tensor& tokens_Bn, const ReadOptions& options) {
  return InnerLoop(model, memory).read(tokens_Bn, options, /*more_calls=*/false);
}

InnerLoop::InnerLoop(const Network& model, Memory& memory)
    : model_(model), memory_(memory), step_(std::make_unique<StepUnderWay>()) {}
InnerLoop::~InnerLoop() = default;

ReadResult InnerLoop::read(const Tensor& tokens_Bn, const ReadOptions& options) {
  return read(tokens_Bn, options, /*more_calls=*/true);
}

ReadResult InnerLoop::read(const Tensor& given_Bn, const ReadOptions& options, bool more_calls) {
  const at::NoGradGuard no_grad;  // the inner step alone differentiates, and says so
  const ModelConfig& c = model_.config;
  const int64_t n = given_Bn.size(1);
  ReadResult result;
  result.nll_Bn = at::full(given_Bn.sizes(), std::nan(""), model_.weights.final_norm_D.options());
  if (n == 0) return result;
  finish_step();
  if (const std::exception_ptr thrown = report(options)) std::rethrow_exception(thrown);
  require_in_vocabulary(given_Bn, c.vocab_size, "tokens");
  const Tensor tokens_Bn = upload(given_Bn, model_.weights.device());
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model_, memory_, options};
  ReadCall call(context, callbacks, finite, make_step_engine(context, n, *step_), more_calls);
  const int64_t begin = memory_.position;
  int64_t checked = memory_.x_BD.defined() && options.score ? 0 : 1;  // tokens whose scores are looked at, or have none
  const int64_t at_once = prefill_tokens(options, model_.weights.device());
  // The first token is the target of the last one read before: it is scored, and a full chunk may have waited for it.
  const Tensor first_B = tokens_Bn.select(1, 0);
  if (memory_.x_BD.defined()) {
    if (options.score) {
      const Tensor log_p = next_logits(model_, memory_).log_softmax(-1);
      result.nll_Bn.select(1, 0).copy_(log_p.gather(1, first_B.unsqueeze(1)).squeeze(1).neg());
    }
    call.set_last_target(first_B);
  }
  for (int64_t first = 0; first < n;) {
    // Prefills end where chunks do, so that whole chunks are scored and learnt from in one pass.
    int64_t count = std::min(n - first, at_once);
    if (c.suffix_len > 0 && first + count < n) {
      const int64_t over = (memory_.filled + count) % c.chunk;
      if (over < count) count -= over;
    }
    // Stopping is decided before a prefill, so that the memory never knows of a token that it did not read.
    const bool stop = !callbacks.keep_going(first);
    const bool more = first + count < n && !stop;
    const auto next_B = more ? std::optional<Tensor>(tokens_Bn.select(1, first + count)) : std::nullopt;
    const Tensor nll_Bn = at::empty({tokens_Bn.size(0), count}, result.nll_Bn.options());
    call.prefill(tokens_Bn.narrow(1, first, count), next_B, nll_Bn);
    const int64_t scores = more ? count : count - 1;
    if (scores > 0) result.nll_Bn.narrow(1, first + 1, scores).copy_(nll_Bn.narrow(1, 0, scores));
    first += count;
    if (options.finite) {
      const int64_t end = first + (more ? 1 : 0);
      const std::string problem = finite.problem(result.nll_Bn.narrow(1, checked, end - checked), begin + checked);
      require(problem.empty(), "{}", problem);
      checked = end;
    }
    result.tokens_read = first;
    if (stop) break;
  }
  step_->forget_chunk_unless_of(memory_);
  if (callbacks.thrown()) std::rethrow_exception(callbacks.thrown());
  return result;
}

std::exception_ptr InnerLoop::set_last_target(const Tensor& token_B, const ReadOptions& options) {
  const at::NoGradGuard no_grad;
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model_, memory_, options};
  if (StepUnderWay::delays(context)) {
    set_targets(model_.config, memory_, memory_.filled - 1, token_B.unsqueeze(1), options.learn_these);
    step_->begin(context);
    return nullptr;
  }
  ReadCall(context, callbacks, finite, make_step_engine(context, 1, *step_), /*more_calls=*/true)
      .set_last_target(token_B);
  step_->forget_chunk_unless_of(memory_);
  if (const std::string problem = finite.problem_of_steps(); !problem.empty())
    return std::make_exception_ptr(Error(problem));
  return callbacks.thrown();
}

bool InnerLoop::step_begun() const { return step_->begun(); }

void InnerLoop::work_on_step(int64_t tokens) {
  const at::NoGradGuard no_grad;
  step_->work(model_, memory_, tokens);
}

void InnerLoop::finish_step() {
  const at::NoGradGuard no_grad;
  step_->finish(model_, memory_);
}

void InnerLoop::drop_step() { step_->drop(); }

std::exception_ptr InnerLoop::report(const ReadOptions& options) { return step_->report(memory_, options); }

void InnerLoop::require_finite_step() const { step_->require_finite(); }

int64_t InnerLoop::tokens_wanted(int64_t known, const ReadOptions& options) {
  if (!amortizes(model_, options, 1)) return 0;
  if (const AmortizedChunk* chunk = step_->chunk_if_any(memory_)) return chunk->whole_parts(known);
  return AmortizedChunk(model_.config, memory_, options.ahead).whole_parts(known);
}

void InnerLoop::amortize(int64_t known, const ReadOptions& options) {
  const StepContext context{model_, memory_, options};
  make_step_engine(context, 1, *step_)->advance(known);
}

int64_t InnerLoop::passed_ahead() const {
  const AmortizedChunk* chunk = step_->chunk_if_any(memory_);
  return chunk ? chunk->done() : 0;
}

}  // namespace ingrain::ttt
