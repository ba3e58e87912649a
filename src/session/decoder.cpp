#include "session/decoder.h"

#include "model/device.h"
#include "model/vocabulary.h"
#include "ops/linear/products.h"
#include "ops/ring_attention/ring_attention.h"
#include "ttt/prefix.h"
#include "ttt/work_ahead.h"

#include <algorithm>

namespace ingrain::ttt {

Decoder::Decoder(const Network& model, Memory& memory, BoundaryRing& boundaries, const ReadOptions& options)
    : model_(model),
      c_(model.config),
      w_(model.weights_for(memory.batch())),
      memory_(memory),
      boundaries_(boundaries),
      options_(options),
      repeated_(w_.device()) {
  require_something_read(memory);
  load();
}

void Decoder::read(const Tensor& token_B1) {
  require_in_vocabulary(token_B1, c_.vocab_size, "tokens");
  const at::NoGradGuard no_grad;
  std::exception_ptr thrown;
  if (c_.suffix_len > 0 && memory_.filled == c_.chunk) {
    thrown = finish_chunk(model_, memory_, upload(token_B1.select(1, 0), w_.device()), options_);
    load_fast_weights();
  }
  if (position() >= capacity() && capacity() < c_.window) {
    sync();
    load();
  }
  token_B1_.copy_(token_B1, /*non_blocking=*/true);
  repeated_.run([this] { step(); });
  unsynced_.push_back(token_B1.clone());
  if (position() % c_.chunk == 0) {
    sync();
    boundaries_.keep(memory_);
  }
  if (should_work_ahead(model_, options_, 1)) work_ahead();
  if (thrown) std::rethrow_exception(thrown);
}

/// As ttt::read does. The memory gets the tokens of a part all at once.
void Decoder::work_ahead() {
  const int64_t known = memory_.filled + static_cast<int64_t>(unsynced_.size()) - 1;  // the newest one's target is not
  const int64_t wanted = tokens_wanted_ahead(model_, memory_, options_, known);
  if (wanted > 0 && memory_.filled <= wanted) sync();
  ttt::work_ahead(model_, memory_, options_, known);
}

/// Room for what a query sees and for the tokens between two syncs. A window that the text does not fill yet gets no
/// more than is needed for a while.
void Decoder::make_buffers(int64_t needed) {
  const int64_t most = std::max(c_.window, c_.chunk), C = std::min(most, std::max(2 * needed, c_.chunk));
  if (C == capacity()) return;
  repeated_.forget();
  ring_L_.clear();
  const int64_t B = memory_.x_BD.size(0);
  const auto options = w_.embedding_VD.options(), whole = options.dtype(at::kLong);
  for (int64_t i = 0; i < c_.num_layers; ++i) {
    const auto make = [&] { return at::empty({B, C, c_.num_kv_heads, c_.head_dim}, options); };
    ring_L_.push_back({make(), make()});
  }
  fast_S_.clear();
  for (const Mlp& mlp : memory_.W_S)
    fast_S_.push_back({{at::empty_like(mlp.w13_FD, options), at::empty_like(mlp.w2_DF, options)}, {}});
  token_B1_ = at::zeros({B, 1}, whole);
  position_B_ = at::zeros({B}, whole);
  frequency_R_ = rope_frequencies(c_, w_.device());
  h_BbD_ = at::zeros({B, c_.chunk, c_.hidden_size}, options);
  x_BD_ = at::zeros({B, c_.hidden_size}, options);
  logits_BV_ = at::zeros({B, c_.vocab_size}, options);
}

/// The buffers from the memory.
void Decoder::load() {
  const at::NoGradGuard no_grad;
  make_buffers(memory_.position + 1);
  const int64_t C = capacity();
  for (size_t i = 0; i < ring_L_.size(); ++i) {
    const ops::KvWindow kept = memory_.kv_L[i].last(std::min(c_.window - 1, C));
    const int64_t n = kept.length();
    if (n == 0) continue;
    const int64_t slot = (memory_.position - n) % C, before_turn = std::min(n, C - slot);
    for (const auto& [ring_BCGd, from_BnGd] :
         {std::pair(ring_L_[i].k_BCGd, kept.k_BWGd), std::pair(ring_L_[i].v_BCGd, kept.v_BWGd)}) {
      ring_BCGd.narrow(1, slot, before_turn).copy_(from_BnGd.narrow(1, 0, before_turn));
      ring_BCGd.narrow(1, 0, n - before_turn).copy_(from_BnGd.narrow(1, before_turn, n - before_turn));
    }
  }
  load_fast_weights();
  position_B_.fill_(memory_.position);
  x_BD_.copy_(memory_.x_BD);
  logits_BV_.copy_(ops::product_nt(x_BD_, w_.head()));
}

void Decoder::load_fast_weights() {
  for (size_t s = 0; s < fast_S_.size(); ++s) {
    fast_S_[s].w.w13_FD.copy_(memory_.W_S[s].w13_FD);
    fast_S_[s].w.w2_DF.copy_(memory_.W_S[s].w2_DF);
  }
}

/// One token through the model, from token_B1_ and position_B_ to logits_BV_.
void Decoder::step() {
  const auto rope = rope_table_at(c_, position_B_, frequency_R_, master_type(w_.type()));
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const Ring& ring = ring_L_[static_cast<size_t>(block)];
    const auto only = [](const Tensor& x_PBTHd) { return x_PBTHd.select(2, 0).select(0, 0); };
    ops::ring_store(only(now.k_PBTGd), only(now.v_PBTGd), ring.k_BCGd, ring.v_BCGd, position_B_);
    const int64_t window = std::min(c_.window, capacity());
    const Tensor o_BHd =
        ops::ring_attention(only(now.q_PBTHd), ring.k_BCGd, ring.v_BCGd, position_B_, window, attention_scale(c_));
    return o_BHd.unsqueeze(1).unsqueeze(0);
  };
  const Tensor h_B1D = run_prefix(c_, w_, token_B1_, rope, rope, attend);
  if (c_.suffix_len > 0)
    ops::again([h_B1D, all_BbD = h_BbD_, at_B = position_B_, chunk = c_.chunk] {
      all_BbD.index_copy_(1, at_B.narrow(0, 0, 1).remainder(chunk), h_B1D);
    });
  const Tensor x_BD = ops::value(run_suffix(c_, w_, fast_S_, h_B1D, rope, attend).x_PBTD).select(1, 0);
  const Tensor logits_BV = ops::product_nt(x_BD, w_.head());
  ops::again([x_BD, logits_BV, x_out = x_BD_, logits_out = logits_BV_, at_B = position_B_] {
    x_out.copy_(x_BD);
    logits_out.copy_(logits_BV);
    at_B.add_(1);
  });
}

void Decoder::sync() {
  if (unsynced_.empty()) return;
  const at::NoGradGuard no_grad;
  const int64_t n = static_cast<int64_t>(unsynced_.size()), first = memory_.filled;
  const Tensor position_n = at::arange(memory_.position, position(), position_B_.options()),
               slot_n = position_n.remainder(capacity());
  for (size_t i = 0; i < ring_L_.size(); ++i) {
    memory_.kv_L[i].append(ring_L_[i].k_BCGd.index_select(1, slot_n), ring_L_[i].v_BCGd.index_select(1, slot_n));
    // Suffix blocks but the first keep what the unfinished chunk's step will see, too.
    if (static_cast<int64_t>(i) <= c_.prefix_len()) memory_.kv_L[i].keep_last(c_.window - 1);
  }
  if (c_.suffix_len > 0) {
    unsynced_.push_back(at::full_like(unsynced_[0], kUnknownTarget));
    const Tensor target_Bn = at::cat(unsynced_, 1).to(w_.device());
    // The first of these tokens is the target of the one before, if that is in the same chunk.
    const int64_t before = first > 0 ? 1 : 0;
    set_targets(c_, memory_, first - before, target_Bn.narrow(1, 1 - before, n + before), options_.learn_these);
    memory_.h_BbD.narrow(1, first, n).copy_(h_BbD_.index_select(1, position_n.remainder(c_.chunk)));
    memory_.filled += n;
  }
  memory_.x_BD = x_BD_.clone();
  memory_.position += n;
  unsynced_.clear();
}

}  // namespace ingrain::ttt
