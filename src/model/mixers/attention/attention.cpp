#include "model/mixers/attention/attention.h"

#include "ops/checks.h"
#include "ops/contiguous.h"
#include "ops/linear/linear.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/windowed_attention/parts.h"

#include <cmath>

namespace ingrain {
namespace {

/// q and k normed over all their heads together; v as it is.
Tensor norm_whole(const ModelConfig& c, const AttentionWeights& w, const Tensor& qkv_PBTC) {
  const int64_t Q = c.num_heads * c.head_dim, KV = c.num_kv_heads * c.head_dim;
  const auto part = [&](int64_t first, int64_t numbers) { return qkv_PBTC.narrow(-1, first, numbers); };
  const Tensor q = ops::rms_norm(ops::contiguous(part(0, Q)), w.q_norm_d, c.rms_eps);
  const Tensor k = ops::rms_norm(ops::contiguous(part(Q, KV)), w.k_norm_d, c.rms_eps);
  return ops::joined_qkv(q, k, part(Q + KV, KV));
}

Tensor attention(const MixerPass& pass, const Tensor& x_PBTD) {
  const ModelConfig& c = pass.config;
  const LayerSpec& layer = c.layer(pass.layer);
  const AttentionWeights& w = pass.w.mixer.of<AttentionWeights>();
  Tensor qkv_PBTC = ops::linear(x_PBTD, w.wqkv_CD, w.bqkv_C);
  if (layer.qk_norm_whole) qkv_PBTC = norm_whole(c, w, qkv_PBTC);
  const bool by_heads = !layer.qk_norm_whole;
  ops::Heads heads =
      ops::split_heads(qkv_PBTC, by_heads ? w.q_norm_d : Tensor(), by_heads ? w.k_norm_d : Tensor(),
                       pass.rope.table(pass.layer), {c.num_heads, c.num_kv_heads, c.head_dim}, c.rms_eps);
  if (const Tensor& factor = pass.rope.query_factor(pass.layer); factor.defined())
    heads.q_PBTHd = ops::scaled_queries(heads.q_PBTHd, factor);
  if (w.sink_HD.defined()) {
    heads.sink_PBTH = ops::linear(x_PBTD, w.sink_HD);
    heads.sink_v_Gd = w.sink_v_C.view({c.num_kv_heads, c.head_dim});
  }
  if (w.sink_logit_H.defined()) ops::add_sink_logit(w.sink_logit_H, heads);
  Tensor o_PBTC = pass.carry.attend(pass.layer, heads).flatten(-2);
  if (w.wg_CD.defined()) o_PBTC = ops::sigmoid_gate(o_PBTC, ops::linear(x_PBTD, w.wg_CD));
  return ops::linear(o_PBTC, w.wo_DC);
}

}  // namespace

const LayerMixer attention_mixer{.mix = attention, .state = nullptr, .parameters = attention_parameters};

int64_t keys_of_window(const LayerSpec& layer) { return layer.window - (layer.sink ? 1 : 0); }

double attention_scale(const ModelConfig& c, int64_t layer) {
  const double own = c.layer(layer).attention_scale;
  return own > 0 ? own : 1 / std::sqrt(static_cast<double>(c.head_dim));
}

Tensor attend_window(const ModelConfig& c, int64_t layer, const ops::Heads& now, const ops::KvWindow& past) {
  return ops::windowed_attention(now.q_PBTHd, now.k_PBTGd, now.v_PBTGd, past, keys_of_window(c.layer(layer)),
                                 attention_scale(c, layer), {now.sink_PBTH, now.sink_v_Gd, now.sink_always});
}

}  // namespace ingrain
