#include "ttt/steps/amortized.h"

#include "model/mixers/attention/attention.h"
#include "model/rope.h"
#include "ttt/steps/plain.h"
#include "ttt/steps/under_way.h"

#include <ATen/ceil_div.h>

#include <algorithm>

namespace ingrain::ttt {
namespace {

// Of the head in a unit. Where nothing waits for a step, units are to be alike: one of the suffix is about so long.
constexpr int64_t kHeadRows = 4096, kHeadRowsInPieces = 1024;

constexpr int64_t kOfAPiece = 3;  // units of a part take about as long as one of the step's pieces

int64_t head_rows(const ModelConfig& c) { return c.inner.step_delay > 0 ? kHeadRowsInPieces : kHeadRows; }

class AmortizedSteps : public PlainSteps {
 public:
  AmortizedSteps(const StepContext& context, StepUnderWay& under_way)
      : PlainSteps(context), context_(context), under_way_(under_way) {}

  InnerStep step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) override {
    if (c_.inner.step_delay == 0 || m_.filled < c_.chunk) return PlainSteps::step(h_BbD, rope, tap);
    AmortizedChunk& chunk = under_way_.chunk(context_);
    if (!chunk.step_begun()) chunk.begin_step(options_.rate_multiplier);
    while (!chunk.step_made()) chunk.make_step_unit(w_, m_);
    InnerStep out = chunk.take_step(m_);
    measure(suffix_input(c_, m_, /*whole=*/true, h_BbD, rope), out);
    return out;
  }

  void advance(int64_t known) override {
    AmortizedChunk& chunk = under_way_.chunk(context_);
    for (int64_t units = chunk.units_due(known); units > 0; --units) chunk.make_unit(w_, m_);
  }

 protected:
  ChunkGradient gradient(const ChunkInput& input, const Tap& tap) override {
    if (m_.filled < c_.chunk) return PlainSteps::gradient(input, tap);  // it came whole
    AmortizedChunk& chunk = under_way_.chunk(context_);
    while (chunk.done() < c_.chunk) chunk.make_unit(w_, m_);
    return chunk.gradient(w_, m_.W_S, input, m_.valid_Bb);
  }

 private:
  const StepContext context_;
  StepUnderWay& under_way_;
};

}  // namespace

bool amortizes(const Network& model, const ReadOptions& options, int64_t tokens) {
  return options.learn && model.config.suffix_len > 0 && tokens <= options.ahead && model.weights.device().is_cpu();
}

std::unique_ptr<StepEngine> make_amortized_steps(const StepContext& context, StepUnderWay& under_way) {
  return std::make_unique<AmortizedSteps>(context, under_way);
}

AmortizedChunk::AmortizedChunk(const ModelConfig& config, const Memory& memory, int64_t most)
    : config_(config),
      most_(most),
      chunk_of_(memory.h_BbD),
      begin_(memory.chunk_begin()),
      chunk_{ops::ActivationCache(config.chunk)} {}

bool AmortizedChunk::belongs_to(const Memory& memory) const {
  return chunk_of_.is_same(memory.h_BbD) && begin_ == memory.chunk_begin();
}

/// Half of what is left, so that the last part, which the chunk's end waits for, is small; but not so small that
/// reading the weights is all its work. All tokens of a part have the same fast weights.
int64_t AmortizedChunk::part_tokens_at(int64_t first) const {
  const int64_t left = config_.chunk - first, least = std::max<int64_t>(most_ / 8, 1);
  const int64_t early = config_.inner.step_delay;
  if (early > 0) return std::min(first < early ? early - first : left, most_);  // nothing waits for the last part
  return std::min(left, std::clamp(left / 2, least, most_));
}

int64_t AmortizedChunk::units_a_part() const {
  return SuffixPass::sublayers(config_) + at::ceil_div(config_.vocab_size, head_rows(config_));
}

int64_t AmortizedChunk::units_made() const {
  if (!part_) return 0;
  return part_->suffix.passed() + (part_->head ? at::ceil_div(part_->head->added(), head_rows(config_)) : 0);
}

int64_t AmortizedChunk::whole_parts(int64_t filled) const {
  int64_t end = done_;
  while (end < config_.chunk && end + part_tokens_at(end) <= filled) end += part_tokens_at(end);
  return end;
}

int64_t AmortizedChunk::units_due(int64_t tokens) const {
  // As if every token of the second half brought two: a text that ends before it has done no work for nothing.
  const int64_t filled = std::max<int64_t>(2 * tokens - config_.chunk, 0);
  const int64_t units = units_a_part();
  int64_t due = -units_made();
  for (int64_t end = done_ + part_tokens(); end <= filled && end < config_.chunk;) {
    const int64_t next = part_tokens_at(end),
                  there = std::min(filled - end + 1, next);  // of those that the work is spread over
    due += at::ceil_div(units * there, next);
    end += next;
  }
  // Late, as after a file was loaded or much was read at once: no faster than what evens it out by the chunk's end.
  const int64_t part = part_tokens(),
                left = (config_.chunk - done_) * units - part * units_made();  // units times tokens
  const int64_t evenly = at::ceil_div(left, part * std::max<int64_t>(config_.chunk - tokens, 1));
  return std::clamp<int64_t>(due, 0, std::min(evenly, (units + 1) / 2));
}

void AmortizedChunk::make_unit(const Weights& w, const Memory& memory) {
  if (!part_) begin_part(w, memory);
  if (part_->suffix.passed() < SuffixPass::sublayers(config_)) return suffix_unit(w, memory);
  head_unit(w);
  if (part_->head->added() == config_.vocab_size) finish_part(w);
}

void AmortizedChunk::begin_part(const Weights& w, const Memory& memory) {
  const auto of_part = [&](const Tensor& x_Bb) { return x_Bb.narrow(1, done_, part_tokens()); };
  const auto rope = rope_table(config_, begin_ + done_, part_tokens(), master_type(w.type()), w.device());
  if (done_ == 0)
    for (int64_t i = config_.prefix_len() + 1; i < config_.num_layers; ++i) {
      const LayerState& layer = memory.layer_L[static_cast<size_t>(i)];
      state_S1_.push_back(layer.recurrent() ? layer.before_chunk() : RecurrentState());
    }
  part_.emplace(Part{rope, of_part(memory.target_Bb), of_part(memory.valid_Bb), SuffixPass(of_part(memory.h_BbD))});
}

void AmortizedChunk::suffix_unit(const Weights& w, const Memory& memory) {
  const std::vector<FastMlp> fast_S = fast_mlps(weights_of(config_, memory, done_, part_tokens()));
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const KvCache& kv = memory.layer_L[static_cast<size_t>(block)].kv();
    return attend_window(config_, block, now, kv.before(memory.filled - done_, config_.layer(block).window - 1));
  };
  const auto recur = [&](int64_t block, const auto& run) {
    return run(state_S1_[static_cast<size_t>(block - config_.prefix_len() - 1)]);
  };
  const at::NoGradGuard no_grad;
  const size_t call = part_->suffix.passed() == 0 ? 0 : chunk_.activations.next_call();
  const ops::ActivationCache::Scope storing(chunk_.activations, ops::ActivationCache::Mode::store, done_, part_tokens(),
                                            call);
  if (config_.inner.step_delay > 0) keep_for_step(call);
  part_->suffix.next(config_, w, fast_S, part_->rope, {attend, recur});
}

/// What the step's backward pass takes up the next sublayer from.
void AmortizedChunk::keep_for_step(size_t call) {
  const auto sublayer = static_cast<size_t>(part_->suffix.passed());
  const Tensor& h_PBTD = part_->suffix.h_PBTD();
  if (done_ == 0) {
    auto sizes = h_PBTD.sizes().vec();
    sizes[2] = config_.chunk;
    chunk_.in_PBTD.push_back(sublayer > 0 ? at::empty(sizes, h_PBTD.options()) : Tensor());
    chunk_.call.push_back(call);
  }
  if (sublayer > 0) chunk_.in_PBTD[sublayer].narrow(2, done_, part_tokens()).copy_(h_PBTD);
}

void AmortizedChunk::head_unit(const Weights& w) {
  if (!part_->head) part_->head.emplace(ops::primal(part_->suffix.x_PBTD()).flatten(0, 1), part_->target_BT.flatten());
  part_->head->add(w.head(), std::min(head_rows(config_), config_.vocab_size - part_->head->added()));
}

void AmortizedChunk::finish_part(const Weights& w) {
  const Tensor& valid_BT = part_->valid_BT;
  const Tensor nll_N = part_->head->nll_N(),
               gx_ND = part_->head->gradient_ND(w.head()) * valid_BT.flatten().unsqueeze(1);
  const int64_t B = valid_BT.size(0), n = valid_BT.size(1);
  if (done_ == 0) {
    chunk_.gx_PBTD = at::empty({1, B, config_.chunk, config_.hidden_size}, gx_ND.options());
    chunk_.nll_BT = at::empty({B, config_.chunk}, nll_N.options());
  }
  chunk_.gx_PBTD.narrow(2, done_, n).copy_(gx_ND.view({1, B, n, -1}));
  chunk_.nll_BT.narrow(1, done_, n).copy_(nll_N.view({B, n}));
  part_.reset();
  done_ += n;
}

ChunkGradient AmortizedChunk::gradient(const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                                       const Tensor& valid_BT) {
  const ops::ActivationCache::Scope reusing(chunk_.activations, ops::ActivationCache::Mode::reuse, 0, config_.chunk);
  const Tensor weight_BT = mean_weights(valid_BT, chunk_.nll_BT.scalar_type());
  const Tensor mean_B = mean_of_sum(weight_BT);
  ChunkGradient out = differentiate(config_, w, {W_S}, in, {}, [&](const Tensor& x_PBTD) {
    return Start{x_PBTD, (chunk_.gx_PBTD * mean_B.view({1, -1, 1, 1})).to(x_PBTD.scalar_type())};
  });
  out.nll_BT = chunk_.nll_BT;
  out.loss_B = (weight_BT * chunk_.nll_BT).sum(1);
  return out;
}

void AmortizedChunk::begin_step(double rate_multiplier) {
  rate_multiplier_ = rate_multiplier;
  step_work_ = step_work_left();
}

int64_t AmortizedChunk::step_work_left() const {
  int64_t parts = 0;
  for (int64_t end = done_; end < config_.chunk; end += part_tokens_at(end)) ++parts;
  const int64_t pieces = PiecewiseStep::units(config_) - (step_ ? step_->made() : 0);
  return parts * units_a_part() - units_made() + kOfAPiece * pieces;
}

bool AmortizedChunk::step_due(int64_t tokens) const {
  const int64_t left = step_work_left();
  return left > 0 && (step_work_ - left) * config_.inner.step_delay < step_work_ * tokens;
}

void AmortizedChunk::make_step_unit(const Weights& w, const Memory& memory) {
  if (done_ < config_.chunk) return make_unit(w, memory);
  if (!step_) step_ = std::make_unique<PiecewiseStep>(config_, w, memory, chunk_, rate_multiplier_);
  step_->make_unit();
}

InnerStep AmortizedChunk::take_step(Memory& memory) { return step_->take(memory); }

}  // namespace ingrain::ttt
