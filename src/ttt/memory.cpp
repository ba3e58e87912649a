#include "ttt/memory.h"

#include "base/error.h"
#include "model/device.h"
#include "model/rope.h"
#include "model/vocabulary.h"
#include "ops/linear/products.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ttt/chunk_graph.h"
#include "ttt/prefix.h"
#include "ttt/work_ahead.h"

#include <algorithm>
#include <cmath>
#include <memory>

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

/// Reading one segment: the prefix at once, then piece by piece of a chunk.
class SegmentReader {
 public:
  /// tokens: all that the call brings. Few (as the options say), and the work of inner steps is done ahead; many, and
  /// on a GPU whole chunks' steps are repeated.
  SegmentReader(const Network& model, Memory& memory, const ReadOptions& options, Callbacks& callbacks, int64_t tokens)
      : model_(model),
        c_(model.config),
        w_(model.weights),
        m_(memory),
        options_(options),
        callbacks_(callbacks),
        ahead_(should_work_ahead(model, options, tokens)),
        may_repeat_(!w_.device().is_cpu() && options.learn && !options.tap && !options.measure_steps),
        end_(memory.position + tokens) {}

  /// next: the token after the segment [B], if known by now. nll_Bn: scores of targets, [B, n] for positions' next
  /// tokens.
  void read(const Tensor& tokens_Bn, const std::optional<Tensor>& next_B, const Tensor& nll_Bn) {
    const int64_t n = tokens_Bn.size(1);
    const auto rope = rope_of(m_.position, n);
    const auto prefix_rope =
        options_.fp32_angles ? rope_table_fp32(c_, m_.position, n, master_type(w_.type()), w_.device()) : rope;
    const Tensor h_BnD =
        run_prefix(c_, model_.weights_for(tokens_Bn.numel()), tokens_Bn, prefix_rope, rope, m_.kv_L, options_.tap);
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
    if (ahead_) work_ahead(model_, m_, options_, m_.filled);
  }

 private:
  std::vector<ops::KvWindow> windows_before(int64_t skip) const {
    std::vector<ops::KvWindow> out;
    for (int64_t s = 1; s < c_.suffix_len; ++s)
      out.push_back(m_.kv_L[static_cast<size_t>(c_.prefix_len() + s)].before(skip, c_.window - 1));
    return out;
  }

  void append_kv(const std::vector<SuffixOutput::Kv>& kv_S1) {
    for (size_t s = 0; s < kv_S1.size(); ++s)
      m_.kv_L[static_cast<size_t>(c_.prefix_len()) + 1 + s].append(ops::value(kv_S1[s].k_PBTGd),
                                                                   ops::value(kv_S1[s].v_PBTGd));
  }

  /// `count` tokens of the current chunk. A whole chunk whose targets are known is scored and learnt from in one pass.
  void piece(const Tensor& h_BnD, const Tensor& target_Bn, const ops::RopeTable& rope, const Tensor& nll_Bn,
             bool targets_known) {
    const int64_t count = h_BnD.size(1);
    if (c_.suffix_len > 0) set_targets(c_, m_, m_.filled, target_Bn, options_.learn_these);
    if (options_.learn && c_.suffix_len > 0 && count == c_.chunk && targets_known) {
      const bool repeat = may_repeat();
      m_.position += count;
      const InnerStep step = repeat ? learn_repeatedly(h_BnD, rope) : learn_chunk(h_BnD, rope, options_.tap);
      append_kv(step.gradient.kv_S1);
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

  /// The end of a chunk that was read in parts (or waited for its last target): run once more, for its gradient.
  void learn_stored_chunk() {
    if (!options_.learn) return forget_chunk();
    if (ahead_) finish_ahead(model_, m_, options_);
    finish(learn_chunk(m_.h_BbD, rope_of(m_.position - c_.chunk, c_.chunk), Tap()));
  }

  ops::RopeTable rope_of(int64_t first, int64_t count) const {
    return rope_table(c_, first, count, master_type(w_.type()), w_.device());
  }

  /// Scores without learning, with the weights as they are; keeps the last position's output for the next token.
  void score(const Tensor& h_BnD, const Tensor& target_Bn, const ops::RopeTable& rope, const Tensor& nll_Bn,
             bool targets_known) {
    std::vector<FastMlp> fast_S;
    for (const Mlp& mlp : m_.W_S) fast_S.push_back({mlp});
    const Weights& w = model_.weights_for(target_Bn.numel());
    const SuffixOutput out = run_suffix(c_, w, fast_S, {h_BnD, windows_before(0), rope}, options_.tap);
    append_kv(out.kv_S1);
    m_.x_BD = ops::value(out.x_PBTD).select(1, -1).clone();
    // Only the last target can be unknown. Alone (decoding) it is not worth a product with the head; with others it
    // gets a score that nobody reads.
    if (h_BnD.size(1) == 1 && !targets_known) return;
    const Tensor ones = at::ones({target_Bn.numel()}, nll_Bn.options());
    const auto loss =
        ops::linear_cross_entropy(out.x_PBTD.flatten(1, 2), w_.head(), target_Bn.clamp_min(0).flatten(), ones);
    nll_Bn.copy_(loss.nll_N.view_as(target_Bn));
  }

  struct InnerStep {
    ChunkGradient gradient;
    Tensor norm_B, loss_after_B;
  };

  /// The inner step of a whole chunk, whose targets are stored.
  InnerStep learn_chunk(const Tensor& h_BbD, const ops::RopeTable& rope, const Tap& tap) {
    const ChunkInput chunk{h_BbD, windows_before(m_.filled), rope};
    const bool passed = ahead_ && m_.ahead && m_.ahead->done() == c_.chunk;
    InnerStep out;
    out.gradient = passed ? m_.ahead->gradient(w_, m_.W_S, chunk, m_.valid_Bb)
                          : chunk_gradient(c_, w_, m_.W_S, chunk, m_.target_Bb, m_.valid_Bb, tap);
    out.norm_B =
        inner_step(m_.W_S, out.gradient.g_S, inner_rates(c_, w_, options_.rate_multiplier), c_.inner_clip, m_.W_S);
    if (options_.measure_steps)
      out.loss_after_B = chunk_gradient(c_, w_, m_.W_S, chunk, m_.target_Bb, m_.valid_Bb).loss_B;
    return out;
  }

  /// The same; its keys and values are in the windows already.
  InnerStep learn_repeatedly(const Tensor& h_BbD, const ops::RopeTable& rope) {
    if (!repeated_) repeated_.emplace(c_, w_, m_, inner_rates(c_, w_, options_.rate_multiplier));
    const auto& [gradient, norm_B] = repeated_->run(h_BbD, rope);
    return {gradient, norm_B, Tensor()};
  }

  bool may_repeat() const {
    return may_repeat_ && ChunkStep::repeats(c_, m_) &&
           (repeated_ || end_ - m_.position >= ChunkStep::kWorthwhile * c_.chunk);
  }

  void finish(const InnerStep& step) {
    const int64_t number = m_.steps++;
    forget_chunk();
    callbacks_.on_step({number, step.gradient.loss_B, step.norm_B, step.loss_after_B}, m_, step.gradient.g_S);
  }

  void forget_chunk() {
    m_.filled = 0;
    m_.ahead.reset();
    for (int64_t i = c_.prefix_len() + 1; i < c_.num_layers; ++i)
      m_.kv_L[static_cast<size_t>(i)].keep_last(c_.window - 1);
  }

  const Network& model_;
  const ModelConfig& c_;
  const Weights& w_;
  Memory& m_;
  const ReadOptions& options_;
  Callbacks& callbacks_;
  const bool ahead_, may_repeat_;
  const int64_t end_;  // position after the call
  std::optional<ChunkStep> repeated_;
};

/// A GPU wants long ones: a product of 2048 rows is two or three tiles for each of its multiprocessors, the last of
/// them half idle, and the window is copied before the new keys once a segment. A CPU gains nothing beyond 2048.
int64_t segment_tokens(const ReadOptions& options, at::Device device) {
  if (options.segment > 0) return options.segment;
  return device.is_cpu() ? 2048 : 8192;
}

}  // namespace

Memory Memory::fork() const {
  Memory out = *this;
  out.ahead.reset();
  for (Mlp& mlp : out.W_S) mlp = {mlp.w13_FD.clone(), mlp.w2_DF.clone()};
  for (size_t i = 0; i < kv_L.size(); ++i) out.kv_L[i] = kv_L[i].clone();
  for (Tensor* x : {&out.h_BbD, &out.target_Bb, &out.valid_Bb, &out.x_BD})
    if (x->defined()) *x = x->clone();
  return out;
}

Memory empty_memory(const Network& model, int64_t batch) {
  const ModelConfig& c = model.config;
  Memory m;
  for (const Mlp& mlp : model.weights.fast_S)
    m.W_S.push_back({mlp.w13_FD.detach().unsqueeze(0).repeat({batch, 1, 1}),
                     mlp.w2_DF.detach().unsqueeze(0).repeat({batch, 1, 1})});
  m.kv_L.resize(static_cast<size_t>(c.num_layers));
  if (c.suffix_len > 0) {
    const auto options = model.weights.embedding_VD.options();
    m.h_BbD = at::zeros({batch, c.chunk, c.hidden_size}, options);
    m.target_Bb = at::zeros({batch, c.chunk}, options.dtype(at::kLong));
    m.valid_Bb = at::zeros({batch, c.chunk}, options.dtype(at::kBool));
  }
  return m;
}

void require_something_read(const Memory& memory) {
  require(memory.x_BD.defined(), "nothing was read yet, so there is nothing to predict from; read at least one token");
}

Tensor next_logits(const Network& model, const Memory& memory) {
  require_something_read(memory);
  const at::NoGradGuard no_grad;
  return ops::product_nt(memory.x_BD, model.weights_for(memory.x_BD.size(0)).head())
      .to(master_type(model.weights.type()));
}

Tensor as_batch(std::span<const int32_t> tokens) {
  const Tensor out = at::empty({1, static_cast<int64_t>(tokens.size())}, at::kLong);
  std::copy(tokens.begin(), tokens.end(), out.data_ptr<int64_t>());
  return out;
}

void set_targets(const ModelConfig& c, Memory& memory, int64_t first, const Tensor& target_Bn, bool count_these) {
  const int64_t n = target_Bn.size(1);
  const Tensor known = target_Bn.ne(kUnknownTarget).logical_and_(target_Bn.ne(c.bos_id));
  memory.target_Bb.narrow(1, first, n).copy_(target_Bn);
  memory.valid_Bb.narrow(1, first, n).copy_(count_these ? known : at::zeros_like(known));
}

std::exception_ptr finish_chunk(const Network& model, Memory& memory, const Tensor& next_B,
                                const ReadOptions& options) {
  const at::NoGradGuard no_grad;  // the inner step alone differentiates, and says so
  Callbacks callbacks(options);
  SegmentReader(model, memory, options, callbacks, 1).set_last_target(next_B);
  return callbacks.thrown();
}

ReadResult read(const Network& model, Memory& memory, const Tensor& given_Bn, const ReadOptions& options) {
  const at::NoGradGuard no_grad;  // the inner step alone differentiates, and says so
  const ModelConfig& c = model.config;
  const int64_t n = given_Bn.size(1);
  ReadResult result;
  result.nll_Bn = at::full(given_Bn.sizes(), std::nan(""), model.weights.final_norm_D.options());
  if (n == 0) return result;
  require_in_vocabulary(given_Bn, c.vocab_size, "tokens");
  const Tensor tokens_Bn = upload(given_Bn, model.weights.device());
  Callbacks callbacks(options);
  SegmentReader reader(model, memory, options, callbacks, n);
  const int64_t segment = segment_tokens(options, model.weights.device());
  // The first token is the target of the last one read before: it is scored, and a full chunk may have waited for it.
  const Tensor first_B = tokens_Bn.select(1, 0);
  if (memory.x_BD.defined()) {
    if (options.score) {
      const Tensor log_p = next_logits(model, memory).log_softmax(-1);
      result.nll_Bn.select(1, 0).copy_(log_p.gather(1, first_B.unsqueeze(1)).squeeze(1).neg());
    }
    reader.set_last_target(first_B);
  }
  for (int64_t first = 0; first < n;) {
    // Segments end where chunks do, so that whole chunks are scored and learnt from in one pass.
    int64_t count = std::min(n - first, segment);
    if (c.suffix_len > 0 && first + count < n) {
      const int64_t over = (memory.filled + count) % c.chunk;
      if (over < count) count -= over;
    }
    // Stopping is decided before a segment, so that the memory never knows of a token that it did not read.
    const bool stop = !callbacks.keep_going(first);
    const bool more = first + count < n && !stop;
    const auto next_B = more ? std::optional<Tensor>(tokens_Bn.select(1, first + count)) : std::nullopt;
    const Tensor nll_Bn = at::empty({tokens_Bn.size(0), count}, result.nll_Bn.options());
    reader.read(tokens_Bn.narrow(1, first, count), next_B, nll_Bn);
    const int64_t scored = more ? count : count - 1;
    if (scored > 0) result.nll_Bn.narrow(1, first + 1, scored).copy_(nll_Bn.narrow(1, 0, scored));
    first += count;
    result.tokens_read = first;
    if (stop) break;
  }
  if (callbacks.thrown()) std::rethrow_exception(callbacks.thrown());
  return result;
}

}  // namespace ingrain::ttt
