#include "session/token_step.h"

#include "ops/linear/products.h"
#include "ops/ring_attention/ring_attention.h"
#include "ttt/chunk.h"
#include "ttt/prefix.h"

#include <algorithm>

namespace ingrain::session {

TokenStep::TokenStep(const Network& model, int64_t rows)
    : config_(model.config), weights_(model.weights_for(rows)), rows_(rows), repeated_(weights_.device()) {}

/// Room for what a query sees, and for the tokens of a chunk, which the memory gets at its end. A window that the text
/// does not fill yet gets no more than is needed for a while.
void TokenStep::make_room(int64_t needed) {
  const ModelConfig& c = config_;
  const int64_t most = std::max(c.window, c.chunk), C = std::min(most, std::max(2 * needed, c.chunk)), B = rows_;
  repeated_.forget();
  ring_L_.clear();
  const auto options = weights_.embedding_VD.options(), whole = options.dtype(at::kLong);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const auto make = [&] { return at::empty({B, C, c.num_kv_heads, c.head_dim}, options); };
    ring_L_.push_back({make(), make()});
  }
  if (x_BD_.defined()) return;
  // Zeros, so that rows which nobody has used compute nothing strange.
  for (const Mlp& mlp : weights_.fast_S) {
    const auto of_each = [&](const Tensor& x) { return at::zeros({B, x.size(0), x.size(1)}, options); };
    fast_S_.push_back({{of_each(mlp.w13_FD), of_each(mlp.w2_DF)}, {}});
  }
  input_3B_ = at::zeros({3, B}, whole);
  frequency_R_ = rope_frequencies(c, weights_.device());
  h_ND_ = at::zeros({B * c.chunk + 1, c.hidden_size}, options);
  x_BD_ = at::zeros({B, c.hidden_size}, options);
  logits_BV_ = at::zeros({B, c.vocab_size}, options);
}

void TokenStep::load_keys(const Rows& rows, const ttt::Memory& memory, int64_t count) {
  const int64_t C = capacity();
  for (size_t i = 0; i < ring_L_.size(); ++i) {
    const ops::KvWindow kept = memory.kv_L[i].last(std::min({count, config_.window - 1, C}));
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

void TokenStep::load_fast_weights(const Rows& rows, const ttt::Memory& memory) {
  for (size_t s = 0; s < fast_S_.size(); ++s) {
    rows.of(fast_S_[s].w.w13_FD).copy_(memory.W_S[s].w13_FD);
    rows.of(fast_S_[s].w.w2_DF).copy_(memory.W_S[s].w2_DF);
  }
}

void TokenStep::load_output(const Rows& rows, const ttt::Memory& memory) {
  rows.of(x_BD_).copy_(memory.x_BD);
  rows.of(logits_BV_).copy_(ops::product_nt(rows.of(x_BD_), weights_.head()));
}

void TokenStep::run(std::span<const Input> inputs) {
  const Tensor input_3B = at::empty({3, rows_}, at::kLong);
  int64_t* const to = input_3B.data_ptr<int64_t>();
  for (int64_t b = 0; b < rows_; ++b) {
    const auto [token, position] = inputs[static_cast<size_t>(b)];
    to[b] = token;
    to[rows_ + b] = position;
    to[2 * rows_ + b] = position < 0 ? rows_ * config_.chunk : b * config_.chunk + position % config_.chunk;
  }
  input_3B_.copy_(input_3B, /*non_blocking=*/true);
  repeated_.run([this] { step(); });
}

/// From input_3B_ to x_BD_ and logits_BV_.
void TokenStep::step() {
  const ModelConfig& c = config_;
  const Weights& w = weights_;
  const Tensor position_B = input_3B_.select(0, 1);
  const auto rope = rope_table_at(c, position_B, frequency_R_, master_type(w.type()));
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const Ring& ring = ring_L_[static_cast<size_t>(block)];
    const auto only = [](const Tensor& x_PBTHd) { return x_PBTHd.select(2, 0).select(0, 0); };
    ops::ring_store(only(now.k_PBTGd), only(now.v_PBTGd), ring.k_BCGd, ring.v_BCGd, position_B);
    const int64_t window = std::min(c.window, capacity());
    const Tensor o_BHd =
        ops::ring_attention(only(now.q_PBTHd), ring.k_BCGd, ring.v_BCGd, position_B, window, attention_scale(c));
    return o_BHd.unsqueeze(1).unsqueeze(0);
  };
  const Tensor h_B1D = ttt::run_prefix(c, w, input_3B_.select(0, 0).unsqueeze(1), rope, rope, attend);
  if (c.suffix_len > 0)
    ops::again([h_BD = h_B1D.select(1, 0), h_ND = h_ND_, place_B = input_3B_.select(0, 2)] {
      h_ND.index_copy_(0, place_B, h_BD);
    });
  const Tensor x_BD = ops::value(ttt::run_suffix(c, w, fast_S_, h_B1D, rope, attend).x_PBTD).select(1, 0);
  const Tensor logits_BV = ops::product_nt(x_BD, w.head());
  ops::again([x_BD, logits_BV, x_out = x_BD_, logits_out = logits_BV_] {
    x_out.copy_(x_BD);
    logits_out.copy_(logits_BV);
  });
}

ops::KvWindow TokenStep::keys(const Rows& rows, int64_t block, const Tensor& position_n) const {
  const Ring& ring = ring_L_[static_cast<size_t>(block)];
  const Tensor slot_n = position_n.remainder(capacity());
  return {rows.of(ring.k_BCGd).index_select(1, slot_n), rows.of(ring.v_BCGd).index_select(1, slot_n)};
}

Tensor TokenStep::prefix_output(const Rows& rows, const Tensor& position_n) const {
  const Tensor h_BbD = h_ND_.narrow(0, 0, rows_ * config_.chunk).view({rows_, config_.chunk, config_.hidden_size});
  return rows.of(h_BbD).index_select(1, position_n.remainder(config_.chunk));
}

}  // namespace ingrain::session
