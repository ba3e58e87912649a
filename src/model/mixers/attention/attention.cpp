#include "model/mixers/attention/attention.h"

#include "model/rope.h"
#include "ops/linear/linear.h"

#include <cmath>

namespace ingrain {
namespace {

Tensor attention(const MixerPass& pass, const Tensor& x_PBTD) {
  const ModelConfig& c = pass.config;
  const AttentionWeights& w = pass.w.attention;
  const Tensor qkv_PBTC = ops::linear(x_PBTD, w.wqkv_CD, w.bqkv_C);
  ops::Heads heads =
      ops::split_heads(qkv_PBTC, w.q_norm_d, w.k_norm_d, c.layer(pass.layer).rotated ? pass.rope : unrotated(pass.rope),
                       {c.num_heads, c.num_kv_heads, c.head_dim}, c.rms_eps);
  if (w.sink_HD.defined()) {
    heads.sink_PBTH = ops::linear(x_PBTD, w.sink_HD);
    heads.sink_v_Gd = w.sink_v_C.view({c.num_kv_heads, c.head_dim});
  }
  const Tensor o_PBTC = pass.carry.attend(pass.layer, heads).flatten(-2);
  return ops::linear(o_PBTC, w.wo_DC);
}

}  // namespace

const LayerMixer attention_mixer{.mix = attention, .state = nullptr, .parameters = attention_parameters};

int64_t keys_of_window(const LayerSpec& layer) { return layer.window - (layer.sink ? 1 : 0); }

double attention_scale(const ModelConfig& c) { return 1 / std::sqrt(static_cast<double>(c.head_dim)); }

Tensor attend_window(const ModelConfig& c, int64_t layer, const ops::Heads& now, const ops::KvWindow& past) {
  return ops::windowed_attention(now.q_PBTHd, now.k_PBTGd, now.v_PBTGd, past, keys_of_window(c.layer(layer)),
                                 attention_scale(c), {now.sink_PBTH, now.sink_v_Gd});
}

}  // namespace ingrain
