#include "ttt/read.h"

#include "base/error.h"
#include "model/device.h"
#include "model/rope.h"
#include "model/vocabulary.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ttt/finite.h"
#include "ttt/prefix.h"
#include "ttt/steps/amortized.h"
#include "ttt/steps/step_engine.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace ingrain::ttt {
namespace {

/// The caller's functions. What one throws is kept until the memory is whole, and after it none is called.
class Callbacks {
 public:
  explicit Callbacks(const ReadOptions& options) : options_(options) {}

  void on_step(const StepReport& step, const Memory& memory, const std::vector<Mlp>& g_S) {
    if (options_.on_step) guard([&] { options_.on_step(step, memory, g_S); });
  }
  bool keep_going(int64_t done) {
    bool answer = true;
    if (options_.keep_going && done > 0) guard([&] { answer = options_.keep_going(done); });
    return answer && !thrown_;
  }
  const std::exception_ptr& thrown() const { return thrown_; }

 private:
  template <class Call>
  void guard(const Call& call) {
    if (thrown_) return;
    try {
      call();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  const ReadOptions& options_;
  std::exception_ptr thrown_;
};

/// One call: tokens go through the prefix many at once (prefill), then through the suffix piece by piece of a chunk.
class ReadCall {
 public:
  /// more_calls: whether what is done ahead of a chunk's end is of use to later ones.
  ReadCall(const StepContext& context, Callbacks& callbacks, FiniteCheck& finite, std::unique_ptr<StepEngine> steps,
           bool more_calls)
      : model_(context.model),
        c_(context.model.config),
        w_(context.model.weights),
        m_(context.memory),
        options_(context.options),
        callbacks_(callbacks),
        finite_(finite),
        steps_(std::move(steps)),
        more_calls_(more_calls) {}

  /// next: the token after these [B], if known by now. nll_Bn: scores of targets, [B, n] for positions' next tokens.
  void prefill(const Tensor& tokens_Bn, const std::optional<Tensor>& next_B, const Tensor& nll_Bn) {
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

  /// The newest token's target has become known; a full chunk has waited for it.
  void set_last_target(const Tensor& token_B) {
    if (m_.filled == 0) return;
    set_targets(c_, m_, m_.filled - 1, token_B.unsqueeze(1), options_.learn_these);
    if (m_.filled == c_.chunk) return learn_stored_chunk();
    if (more_calls_) steps_->advance(m_.filled);
  }

  /// The end of a chunk that was read in parts (or waited for its last target): run once more, for its gradient.
  void learn_stored_chunk() {
    if (!options_.learn) {
      m_.early_S.clear();  // without a step, W_S is what was before it
      return forget_chunk();
    }
    finish(steps_->step(m_.h_BbD, rope_of(m_.chunk_begin(), c_.chunk), Tap()));
  }

 private:
  /// `count` tokens of the current chunk. A whole chunk whose targets are known is scored and learnt from in one pass.
  void piece(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn, bool targets_known) {
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
  void score(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn, bool targets_known) {
    const std::vector<FastMlp> fast_S = fast_mlps(weights_of(c_, m_, m_.filled, h_BnD.size(1)));
    const Weights& w = model_.weights;
    const SuffixOutput out =
        run_suffix(c_, w, fast_S, suffix_input(c_, m_, /*whole=*/false, h_BnD, rope), options_.tap);
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

  void finish(const InnerStep& step) {
    const int64_t number = m_.steps;
    m_.steps += c_.inner.steps;
    if (options_.finite) finite_.step(m_.position - c_.chunk, step.gradient.loss_B, step.norm_B);
    forget_chunk();
    callbacks_.on_step({number, step.gradient.loss_B, step.norm_B, step.loss_after_B}, m_, step.gradient.g_S);
  }

  void forget_chunk() {
    m_.filled = 0;
    for (int64_t i = c_.prefix_len() + 1; i < c_.num_layers; ++i) m_.layer_L[static_cast<size_t>(i)].end_chunk(c_);
  }

  /// What a pass has left to suffix blocks 1.., as in SuffixOutput.
  void carry_on(const std::vector<SuffixOutput::Kv>& kv_S1, const std::vector<RecurrentState>& state_S1) {
    for (size_t s = 0; s < kv_S1.size(); ++s) {
      LayerState& layer = m_.layer_L[static_cast<size_t>(c_.prefix_len()) + 1 + s];
      if (layer.recurrent())
        layer.set_now(state_S1[s]);
      else
        layer.kv().append(ops::primal(kv_S1[s].k_PBTGd), ops::primal(kv_S1[s].v_PBTGd));
    }
  }

  Rope rope_of(int64_t first, int64_t count) const {
    return rope_table(c_, first, count, master_type(w_.type()), w_.device());
  }

  const Network& model_;
  const ModelConfig& c_;
  const Weights& w_;
  Memory& m_;
  const ReadOptions& options_;
  Callbacks& callbacks_;
  FiniteCheck& finite_;
  const std::unique_ptr<StepEngine> steps_;
  const bool more_calls_;
};

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

struct InnerLoop::Finished {
  StepReport step;
  std::vector<Mlp> g_S;
  std::string problem;  // what of it is not finite
};

InnerLoop::InnerLoop(const Network& model, Memory& memory) : model_(model), memory_(memory) {}
InnerLoop::InnerLoop(InnerLoop&&) noexcept = default;
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
  ReadCall call(context, callbacks, finite, make_step_engine(context, n, ahead_), more_calls);
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
  if (ahead_ && !ahead_->belongs_to(memory_)) ahead_.reset();
  if (callbacks.thrown()) std::rethrow_exception(callbacks.thrown());
  return result;
}

std::exception_ptr InnerLoop::set_last_target(const Tensor& token_B, const ReadOptions& options) {
  const at::NoGradGuard no_grad;
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model_, memory_, options};
  const ModelConfig& c = model_.config;
  if (c.inner.step_delay > 0 && memory_.filled == c.chunk && amortizes(model_, options, 1) && !options.measure_steps) {
    set_targets(c, memory_, c.chunk - 1, token_B.unsqueeze(1), options.learn_these);
    begun_ = std::make_unique<ReadOptions>();
    begun_->rate_multiplier = options.rate_multiplier;
    begun_->ahead = options.ahead;
    begun_->finite = options.finite;
    amortized_chunk(context, ahead_).begin_step(options.rate_multiplier);
    return nullptr;
  }
  ReadCall(context, callbacks, finite, make_step_engine(context, 1, ahead_), /*more_calls=*/true)
      .set_last_target(token_B);
  if (ahead_ && !ahead_->belongs_to(memory_)) ahead_.reset();
  if (const std::string problem = finite.problem_of_steps(); !problem.empty())
    return std::make_exception_ptr(Error(problem));
  return callbacks.thrown();
}

void InnerLoop::work_on_step(int64_t tokens) {
  const at::NoGradGuard no_grad;
  while (ahead_->step_due(tokens)) ahead_->make_step_unit(model_.weights, memory_);
}

void InnerLoop::finish_step() {
  if (!begun_) return;
  const at::NoGradGuard no_grad;
  ReadOptions options = *begun_;
  auto finished = std::make_unique<Finished>();
  options.on_step = [&](const StepReport& step, const Memory&, const std::vector<Mlp>& g_S) {
    finished->step = step;
    finished->g_S = g_S;
  };
  Callbacks callbacks(options);
  FiniteCheck finite;
  const StepContext context{model_, memory_, options};
  ReadCall(context, callbacks, finite, make_amortized_steps(context, ahead_), /*more_calls=*/true).learn_stored_chunk();
  finished->problem = finite.problem_of_steps();
  finished_ = std::move(finished);
  begun_.reset();
  ahead_.reset();
}

void InnerLoop::drop_step() {
  if (begun_) ahead_.reset();
  begun_.reset();
  finished_.reset();
}

std::exception_ptr InnerLoop::report(const ReadOptions& options) {
  const std::unique_ptr<Finished> step = std::move(finished_);
  if (!step) return nullptr;
  if (!step->problem.empty()) return std::make_exception_ptr(Error(step->problem));
  Callbacks callbacks(options);
  callbacks.on_step(step->step, memory_, step->g_S);
  return callbacks.thrown();
}

void InnerLoop::require_finite_step() const {
  if (finished_) require(finished_->problem.empty(), "{}", finished_->problem);
}

int64_t InnerLoop::tokens_wanted(int64_t known, const ReadOptions& options) {
  if (!amortizes(model_, options, 1)) return 0;
  const bool under_way = ahead_ && ahead_->belongs_to(memory_);
  return under_way ? ahead_->whole_parts(known)
                   : AmortizedChunk(model_.config, memory_, options.ahead).whole_parts(known);
}

void InnerLoop::work_ahead(int64_t known, const ReadOptions& options) {
  const StepContext context{model_, memory_, options};
  make_step_engine(context, 1, ahead_)->advance(known);
}

int64_t InnerLoop::passed_ahead() const { return ahead_ && ahead_->belongs_to(memory_) ? ahead_->done() : 0; }

}  // namespace ingrain::ttt
