#include "session/session.h"

#include "base/error.h"
#include "model/device.h"
#include "model/vocabulary.h"
#include "ttt/finite.h"

namespace ingrain::session {
namespace {

/// So many tokens a call go one by one over the rings. A CPU reads two at once sooner, since that reads the weights
/// once; a GPU launches its graph several times in the time that it takes to launch a pass kernel by kernel.
int64_t most_by_token(at::Device device) { return device.is_cpu() ? 1 : 8; }

}  // namespace

Session::Session(const Network& model, ttt::Memory memory, Checkpoints checkpoints)
    : model_(model), memory_(std::move(memory)), inner_loop_(model, memory_), checkpoints_(std::move(checkpoints)) {}

Session::~Session() {
  unsynced_.clear();  // nobody will ask
  inner_loop_.drop_step();
  if (batch_) batch_->remove(*this);
}

void Session::take_rows() {
  if (batch_) return;
  own_ = std::make_unique<Batch>(model_);
  own_->add(*this);
}

bool Session::by_token(int64_t tokens, const ttt::ReadOptions& options) const {
  return tokens > 0 && tokens <= most_by_token(model_.weights.device()) && memory_.x_BD.defined() && !options.tap &&
         !options.fp32_angles;
}

ttt::ReadResult Session::read(const Tensor& tokens_Bn, const ttt::ReadOptions& options) {
  if (by_token(tokens_Bn.size(1), options)) return read_by_token(tokens_Bn, options);
  sync();
  kept_.reset();
  output_is_there_ = false;
  return session::read(inner_loop_, checkpoints_, tokens_Bn, options);
}

/// keep_going is not asked within so few. When on_step throws, the others are read all the same.
ttt::ReadResult Session::read_by_token(const Tensor& tokens_Bn, const ttt::ReadOptions& options) {
  require_in_vocabulary(tokens_Bn, model_.config.vocab_size, "tokens");
  const Tensor host_Bn = tokens_Bn.to(at::kCPU), device_Bn = upload(tokens_Bn, model_.weights.device());
  ttt::ReadResult result;
  result.nll_Bn = at::full(host_Bn.sizes(), std::nan(""), model_.weights.final_norm_D.options());
  ttt::ReadOptions without = options;
  std::exception_ptr thrown;
  for (int64_t i = 0; i < host_Bn.size(1); ++i) {
    if (options.score || i > 0) {
      const at::NoGradGuard no_grad;
      const Tensor log_p = logits_BV().to(result.nll_Bn.scalar_type()).log_softmax(-1);
      result.nll_Bn.narrow(1, i, 1).copy_(log_p.gather(1, device_Bn.narrow(1, i, 1)).neg());
    }
    const int64_t before = position();
    try {
      write(host_Bn.narrow(1, i, 1).contiguous(), without);
    } catch (...) {
      if (position() == before) throw;
      thrown = std::current_exception();
      without.on_step = {};
    }
    ++result.tokens_read;
  }
  if (thrown) std::rethrow_exception(thrown);
  if (options.finite) {
    const int64_t first = options.score ? 0 : 1;
    const std::string problem = ttt::FiniteCheck().problem(result.nll_Bn.narrow(1, first, result.tokens_read - first),
                                                           position() - result.tokens_read + first);
    require(problem.empty(), "{}", problem);
  }
  return result;
}

void Session::write(const Tensor& token_B1, const ttt::ReadOptions& options) {
  take_rows();
  const Batch::Turn turn{*this, token_B1, options};
  batch_->step({&turn, 1});
}

Tensor Session::logits_BV() {
  ttt::require_something_read(memory_);
  if (kept_) return kept_->logits_BV;
  const at::NoGradGuard no_grad;
  load();
  TokenStep& step = *batch_->step_;
  if (!output_is_there_) step.load_output(rows_, memory_);
  output_is_there_ = true;
  return rows_.of(step.logits_BV());
}

void Session::settle(const ttt::ReadOptions& options) {
  inner_loop_.finish_step();
  if (const std::exception_ptr thrown = inner_loop_.report(options)) std::rethrow_exception(thrown);
}

const ttt::Memory& Session::memory() {
  sync();
  inner_loop_.require_finite_step();
  return memory_;
}

uint64_t Session::bytes(std::span<const Mlp> shared) const {
  uint64_t out = 0;
  const auto count = [&](const Tensor& x) { out += x.defined() ? x.storage().nbytes() : 0; };
  for (const ttt::LayerState& layer : memory_.layer_L) out += layer.bytes();
  for (const Tensor* x : ttt::Memory::of_chunk(memory_)) count(*x);
  for (const std::vector<Mlp>* mlps : ttt::Memory::fast_weights(memory_)) {
    for (size_t s = 0; s < mlps->size(); ++s) {
      const Mlp& mlp = (*mlps)[s];
      if (s < shared.size() && mlp.w13_FD.is_same(shared[s].w13_FD)) continue;
      count(mlp.w13_FD);
      count(mlp.w2_DF);
    }
  }
  return out;
}

std::unique_ptr<Session> Session::fork() { return std::make_unique<Session>(model_, snapshot(), checkpoints_); }

void Session::become(ttt::Memory memory) {
  require(memory.batch() == memory_.batch(), "a memory of {} sequences cannot take the place of one of {}",
          memory.batch(), memory_.batch());
  unsynced_.clear();
  inner_loop_.drop_step();
  leave_rows();
  memory_ = std::move(memory);
}

bool Session::rewind(int64_t position) {
  const ttt::Memory* const then = checkpoints_.find(position);
  if (!then) return false;
  become(then->fork());
  checkpoints_.forget_after(position);
  return true;
}

/// The memory gets the tokens that only the rows have, and before them a step that was begun.
void Session::sync() {
  inner_loop_.finish_step();
  if (unsynced_.empty()) return;
  const at::NoGradGuard no_grad;
  const ModelConfig& c = model_.config;
  const TokenStep& step = *batch_->step_;
  const int64_t n = static_cast<int64_t>(unsynced_.size()), first = memory_.filled;
  const at::Device device = model_.weights.device();
  const Tensor position_n = at::arange(memory_.position, position(), at::TensorOptions(device).dtype(at::kLong));
  for (int64_t i = 0; i < c.num_layers; ++i) {
    ttt::LayerState& layer = memory_.layer_L[static_cast<size_t>(i)];
    if (layer.recurrent()) {
      layer.set_now(step.state(rows_, i));
      continue;
    }
    ttt::KvCache& kv = layer.kv();
    const ops::KvWindow fresh = step.keys(rows_, i, position_n);
    kv.append(fresh.k_BWGd, fresh.v_BWGd);
    // Suffix blocks but the first keep what the unfinished chunk's step will see, too.
    if (i <= c.prefix_len()) kv.keep_last(c.layer(i).window - 1);
  }
  if (c.suffix_len > 0) {
    unsynced_.push_back(at::full_like(unsynced_[0], ttt::kUnknownTarget));
    const Tensor target_Bn = at::cat(unsynced_, 1).to(device);
    // The first of these tokens is the target of the one before, if that is in the same chunk.
    const int64_t before = first > 0 ? 1 : 0;
    ttt::set_targets(c, memory_, first - before, target_Bn.narrow(1, 1 - before, n + before), unsynced_count_);
    memory_.h_BbD.narrow(1, first, n).copy_(step.prefix_output(rows_, position_n));
    memory_.filled += n;
  }
  memory_.x_BD = kept_ ? kept_->x_BD : rows_.of(step.x_BD()).clone();
  memory_.position += n;
  unsynced_.clear();
}

std::exception_ptr Session::finish_chunk(const Tensor& token_B1, const ttt::ReadOptions& options) {
  if (unsynced_count_ != options.learn_these) sync();
  unsynced_count_ = options.learn_these;
  if (inner_loop_.step_begun() && static_cast<int64_t>(unsynced_.size()) == model_.config.inner.step_delay)
    inner_loop_.finish_step();
  if (const std::exception_ptr thrown = inner_loop_.report(options)) return thrown;
  if (model_.config.suffix_len == 0 || memory_.filled < model_.config.chunk || inner_loop_.step_begun()) return nullptr;
  return inner_loop_.set_last_target(upload(token_B1.select(1, 0), model_.weights.device()), options);
}

/// What the rows lack: after reading, the keys of what was read; after an inner step, the fast weights.
void Session::load() {
  take_rows();
  batch_->make_room(position() + 1);
  TokenStep& step = *batch_->step_;
  const bool whole = loaded_ < 0;
  // Of the next token; while a step is under way, the ones before it.
  const int64_t row = memory_.filled + (inner_loop_.step_begun() ? 0 : static_cast<int64_t>(unsynced_.size()));
  const bool early = row < model_.config.inner.step_delay && !memory_.early_S.empty();
  const LoadedWeights weights{memory_.steps, early ? memory_.chunk_begin() : -1};
  if (whole || loaded_weights_ != weights) step.load_fast_weights(rows_, early ? memory_.early_S : memory_.W_S);
  loaded_weights_ = weights;
  if (loaded_ == position()) return;
  step.load_keys(rows_, memory_, whole ? memory_.position : memory_.position - loaded_);
  ++(whole ? loads_.whole : loads_.parts);
  loaded_ = position();
  kept_.reset();
  output_is_there_ = false;
}

/// Before a step in which others take part.
void Session::keep_output() {
  if (!output_is_there_) return;
  const TokenStep& step = *batch_->step_;
  kept_ = {rows_.of(step.x_BD()).clone(), rows_.of(step.logits_BV()).clone()};
  output_is_there_ = false;
}

void Session::has_read(const Tensor& token_B1, const ttt::ReadOptions& options) {
  unsynced_.push_back(token_B1.clone());
  ++loaded_;
  kept_.reset();
  output_is_there_ = true;
  if (position() % model_.config.chunk == 0) {
    sync();
    checkpoints_.keep(memory_);
  }
  amortize(options);
}

/// As ttt::read does. The memory gets the tokens of a part all at once.
void Session::amortize(const ttt::ReadOptions& options) {
  if (inner_loop_.step_begun()) return inner_loop_.work_on_step(static_cast<int64_t>(unsynced_.size()));
  const int64_t known = memory_.filled + static_cast<int64_t>(unsynced_.size()) - 1;  // the newest one's target is not
  const int64_t wanted = inner_loop_.tokens_wanted(known, options);
  if (wanted > 0 && memory_.filled <= wanted) sync();
  inner_loop_.amortize(known, options);
}

void Session::leave_rows() {
  sync();
  loaded_ = -1;
  kept_.reset();
  output_is_there_ = false;
}

void Session::leave() {
  leave_rows();
  batch_ = nullptr;
}

const ops::Graph* Session::graph() const { return batch_ && batch_->step_ ? &batch_->step_->graph() : nullptr; }

}  // namespace ingrain::session
