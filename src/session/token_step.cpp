#include "session/token_step.h"

#include "model/mixers/attention/attention.h"
#include "ops/linear/products.h"
#include "ops/memory/arena.h"
#include "ops/ring_attention/ring_attention.h"
#include "ops/store/store.h"
#include "ttt/prefix.h"
#include "ttt/suffix.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace ingrain::session {
namespace {

/// Uninitialised, of one type. On a CPU every token streams through them: they lie in huge pages.
std::vector<Tensor> buffers(const std::vector<std::vector<int64_t>>& sizes, const at::TensorOptions& options) {
  std::vector<Tensor> out;
  if (options.device().is_cpu()) {
    std::vector<ops::cpu::Shape> shapes;
    for (const auto& each : sizes) shapes.push_back({each, c10::typeMetaToScalarType(options.dtype())});
    return ops::cpu::empty_side_by_side(shapes);
  }
  for (const auto& each : sizes) out.push_back(at::empty(each, options));
  return out;
}

}  // namespace

TokenStep::TokenStep(const Network& model, int64_t rows)
    : config_(model.config),
      weights_(model.weights),
      rows_(rows),
      graph_(weights_.device()),
      whose_(static_cast<size_t>(rows)) {
  std::iota(whose_.begin(), whose_.end(), 0);
}

uint64_t TokenStep::bytes() const {
  uint64_t out = 0;
  const auto count = [&](const Tensor& x) { out += x.defined() ? x.nbytes() : 0; };
  for (const Ring& ring : ring_L_) {
    count(ring.k_BCGd);
    count(ring.v_BCGd);
  }
  for (const std::vector<Tensor>& state : state_L_) std::ranges::for_each(state, count);
  for (const FastMlp& fast : fast_S_) {
    count(fast.w.w13_FD);
    count(fast.w.w2_DF);
  }
  for (const Tensor* x : {&h_ND_, &x_BD_, &logits_BV_}) count(*x);
  return out;
}

bool TokenStep::lacks_room(int64_t needed) const { return needed > room_ && room_ < config_.widest_window(); }

/// Room for what a query sees, and for the tokens of a chunk, which the memory gets at its end. A window that the text
/// does not fill yet gets no more than is needed for a while. Where memory runs out there are no buffers: the next call
/// makes them.
void TokenStep::make_room(int64_t needed) {
  const ModelConfig& c = config_;
  const int64_t room = std::max(2 * needed, c.chunk), B = rows_;
  graph_.forget();
  ring_L_.clear();
  state_L_.clear();
  room_ = 0;
  const auto options = weights_.embedding_VD.options();
  std::vector<std::vector<int64_t>> sizes;
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const int64_t C = mixer_of(c, i).recurrent() ? 0 : std::min(std::max(c.layer(i).window, c.chunk), room);
    sizes.insert(sizes.end(), 2, {B, C, c.num_kv_heads, c.head_dim});
  }
  const std::vector<Tensor> rings = buffers(sizes, options);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    std::vector<Tensor>& state = state_L_.emplace_back();
    Ring& ring = ring_L_.emplace_back();
    if (!mixer_of(c, i).recurrent()) {
      ring = {rings[static_cast<size_t>(2 * i)], rings[static_cast<size_t>(2 * i + 1)]};
      continue;
    }
    for (const StatePart& part : mixer_of(c, i).state(c, i))
      state.push_back(at::zeros({B + 1, c10::multiply_integers(part.shape)},
                                part.wide ? options.dtype(master_type(weights_.type())) : options));
  }
  if (!logits_BV_.defined()) make_row_buffers();
  room_ = room;
}

/// Zeros, so that rows which nobody has used compute nothing strange; but where fast weights are shared, those of such
/// rows are not read.
void TokenStep::make_row_buffers() {
  const ModelConfig& c = config_;
  const int64_t B = rows_;
  const auto options = weights_.embedding_VD.options();
  fast_S_.clear();
  std::vector<std::vector<int64_t>> sizes;
  for (const Mlp& mlp : weights_.fast_S)
    for (const Tensor& x : {mlp.w13_FD, mlp.w2_DF}) sizes.push_back({B, x.size(0), x.size(1)});
  const std::vector<Tensor> fast = buffers(sizes, options);
  input_5B_ = at::zeros({5, B}, options.dtype(at::kLong));
  for (size_t i = 0; i < fast.size(); i += 2) {
    FastMlp& mlp = fast_S_.emplace_back(FastMlp{{fast[i], fast[i + 1]}, {}});
    if (shares_fast_weights())
      mlp.whose_B = input_5B_.select(0, 4);
    else
      for (const Tensor& x : {mlp.w.w13_FD, mlp.w.w2_DF}) x.zero_();
  }
  frequency_R_ = rope_frequencies(c, weights_.device());
  h_ND_ = at::zeros({B * c.chunk + 1, c.hidden_size}, options);
  x_BD_ = at::zeros({B, c.hidden_size}, options);
  logits_BV_ = at::zeros({B, c.vocab_size}, options);
}

void TokenStep::load_keys(const Rows& rows, const ttt::Memory& memory, int64_t count) {
  for (size_t i = 0; i < ring_L_.size(); ++i) {
    if (memory.layer_L[i].recurrent()) {
      const RecurrentState& now = memory.layer_L[i].now();
      for (size_t part = 0; part < now.size(); ++part) rows.of(state_L_[i][part]).copy_(now[part].flatten(1));
      continue;
    }
    const int64_t C = ring_L_[i].slots(), others = config_.layer(static_cast<int64_t>(i)).window - 1;
    const ops::KvWindow kept = memory.layer_L[i].kv().last(std::min({count, others, C}));
    const int64_t n = kept.length();
    if (n == 0) continue;
    const int64_t slot = (memory.position - n) % C, before_turn = std::min(n, C - slot);
    for (const auto& [ring_BCGd, from_BnGd] :
         {std::pair(rows.of(ring_L_[i].k_BCGd), kept.k_BWGd), std::pair(rows.of(ring_L_[i].v_BCGd), kept.v_BWGd)}) {
      ring_BCGd.narrow(1, slot, before_turn).copy_(from_BnGd.narrow(1, 0, before_turn));
      ring_BCGd.narrow(1, 0, n - before_turn).copy_(from_BnGd.narrow(1, before_turn, n - before_turn));
    }
  }
}

void TokenStep::load_fast_weights(const Rows& rows, const std::vector<Mlp>& W_S) {
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) stop_sharing_fast_weights(row);
  for (size_t s = 0; s < fast_S_.size(); ++s) {
    rows.of(fast_S_[s].w.w13_FD).copy_(W_S[s].w13_FD);
    rows.of(fast_S_[s].w.w2_DF).copy_(W_S[s].w2_DF);
  }
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) share_fast_weights(row);
}

/// Those who use the row's fast weights use another's, which are the same.
void TokenStep::stop_sharing_fast_weights(int64_t row) {
  int64_t next = -1;
  for (int64_t other = 0; other < rows_; ++other) {
    int64_t& whose = whose_[static_cast<size_t>(other)];
    if (other == row || whose != row) continue;
    if (next < 0) next = other;
    whose = next;
  }
  whose_[static_cast<size_t>(row)] = row;
}

void TokenStep::share_fast_weights(int64_t row) {
  if (!shares_fast_weights()) return;
  for (int64_t other = 0; other < rows_; ++other) {
    if (other == row || whose_[static_cast<size_t>(other)] != other || !same_fast_weights(row, other)) continue;
    whose_[static_cast<size_t>(row)] = other;
    return;
  }
}

bool TokenStep::same_fast_weights(int64_t row, int64_t other) const {
  const auto same = [&](const Tensor& x_B) {
    const size_t bytes = static_cast<size_t>(x_B.stride(0) * x_B.element_size());
    const auto* const x = static_cast<const char*>(x_B.const_data_ptr());
    return std::memcmp(x + static_cast<size_t>(row) * bytes, x + static_cast<size_t>(other) * bytes, bytes) == 0;
  };
  return std::ranges::all_of(fast_S_, [&](const FastMlp& fast) { return same(fast.w.w13_FD) && same(fast.w.w2_DF); });
}

void TokenStep::load_output(const Rows& rows, const ttt::Memory& memory) {
  rows.of(x_BD_).copy_(memory.x_BD);
  rows.of(logits_BV_).copy_(ops::product_nt(rows.of(x_BD_), weights_.head()));
}

void TokenStep::run(std::span<const Input> inputs) {
  const Tensor input_5B = at::empty({5, rows_}, at::kLong);
  int64_t* const to = input_5B.data_ptr<int64_t>();
  for (int64_t b = 0; b < rows_; ++b) {
    const auto [token, position] = inputs[static_cast<size_t>(b)];
    to[b] = token;
    to[rows_ + b] = position;
    to[2 * rows_ + b] = position < 0 ? rows_ * config_.chunk : b * config_.chunk + position % config_.chunk;
    to[3 * rows_ + b] = position < 0 ? rows_ : b;
    to[4 * rows_ + b] = position < 0 ? -1 : whose_[static_cast<size_t>(b)];
  }
  input_5B_.copy_(input_5B, /*non_blocking=*/true);
  graph_.run([this] { step(); });
}

/// From input_5B_ to x_BD_ and logits_BV_.
void TokenStep::step() {
  const ModelConfig& c = config_;
  const Weights& w = weights_;
  const Tensor position_B = input_5B_.select(0, 1);
  const auto rope = rope_at(c, position_B, frequency_R_, master_type(w.type()));
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const Ring& ring = ring_L_[static_cast<size_t>(block)];
    const auto only = [](const Tensor& x_PBTHd) { return x_PBTHd.select(2, 0).select(0, 0); };
    ops::ring_store(only(now.k_PBTGd), only(now.v_PBTGd), ring.k_BCGd, ring.v_BCGd, position_B);
    const int64_t keys = keys_of_window(c.layer(block));
    ops::RingSink sink;
    if (now.sink_PBTH.defined()) sink = {only(now.sink_PBTH), now.sink_v_Gd, now.sink_always ? 0 : keys};
    const Tensor o_BHd = ops::ring_attention(only(now.q_PBTHd), ring.k_BCGd, ring.v_BCGd, position_B,
                                             std::min(keys, ring.slots()), attention_scale(c, block), sink);
    return o_BHd.unsqueeze(1).unsqueeze(0);
  };
  const auto recur = [&](int64_t block, const auto& run) {
    RecurrentState state = state_of(block);
    const Tensor y_PB1D = run(state);
    for (size_t i = 0; i < state.size(); ++i)
      ops::store_rows(state[i].flatten(1), state_L_[static_cast<size_t>(block)][i], input_5B_.select(0, 3));
    return y_PB1D;
  };
  const Carry carry{attend, recur};
  const Tensor h_B1D = ttt::run_prefix(c, w, input_5B_.select(0, 0).unsqueeze(1), rope, rope, carry);
  if (c.suffix_len > 0) ops::store_rows(h_B1D.select(1, 0), h_ND_, input_5B_.select(0, 2));
  const Tensor x_BD = ops::primal(ttt::run_suffix(c, w, fast_S_, h_B1D, rope, carry)).select(1, 0);
  ops::copy_to(x_BD, x_BD_);
  ops::copy_to(ops::product_nt(x_BD, w.head()), logits_BV_);
}

RecurrentState TokenStep::state_of(int64_t block) const {
  RecurrentState out;
  const auto parts = mixer_of(config_, block).state(config_, block);
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<int64_t> shape{rows_};
    shape.insert(shape.end(), parts[i].shape.begin(), parts[i].shape.end());
    out.push_back(state_L_[static_cast<size_t>(block)][i].narrow(0, 0, rows_).view(shape));
  }
  return out;
}

RecurrentState TokenStep::state(const Rows& rows, int64_t block) const {
  RecurrentState out;
  for (const Tensor& x : state_of(block)) out.push_back(rows.of(x).clone());
  return out;
}

ops::KvWindow TokenStep::keys(const Rows& rows, int64_t block, const Tensor& position_n) const {
  const Ring& ring = ring_L_[static_cast<size_t>(block)];
  const Tensor slot_n = position_n.remainder(ring.slots());
  return {rows.of(ring.k_BCGd).index_select(1, slot_n), rows.of(ring.v_BCGd).index_select(1, slot_n)};
}

Tensor TokenStep::prefix_output(const Rows& rows, const Tensor& position_n) const {
  const Tensor h_BbD = h_ND_.narrow(0, 0, rows_ * config_.chunk).view({rows_, config_.chunk, config_.hidden_size});
  return rows.of(h_BbD).index_select(1, position_n.remainder(config_.chunk));
}

}  // namespace ingrain::session
