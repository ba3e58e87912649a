#include "model/mixers/attention/attention.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"
#include "ops/linear/linear.h"
#include "ops/rms_norm/rms_norm.h"

#include <cmath>

namespace ingrain {
namespace {

/// q and k normed over all their heads together; v as it is.
Tensor norm_whole(const ModelConfig& c, const AttentionWeights& w, const Tensor& qkv_PBTC) {
  const int64_t Q = c.num_heads * c.head_dim, KV = c.num_kv_heads * c.head_dim;
  const auto part = [&](int64_t first, int64_t numbers) { return qkv_PBTC.narrow(-1, first, numbers); };
  const Tensor q = ops::rms_norm(ops::contiguous(part(0, Q)), w.q_norm_d, c.rms_eps);
  const Tensor k = ops::rms_norm(ops::contiguous(part(Q, KV)), w.k_norm_d, c.rms_eps);
  return ops::captured([q, k, v = part(Q + KV, KV)] { return at::cat({q, k, v}, -1); });
}

/// q times a factor for each token, [T]; or for each sequence, [B], where every one has a token of its own.
Tensor times_factor(const Tensor& q_PBTHd, const Tensor& factor) {
  const bool each = q_PBTHd.size(2) == 1 && q_PBTHd.size(1) > 1 && factor.size(0) == q_PBTHd.size(1);
  const Tensor factor_BTHd = each ? factor.view({-1, 1, 1, 1}) : factor.view({-1, 1, 1});
  return ops::captured([=] { return (q_PBTHd * factor_BTHd).to(q_PBTHd.scalar_type()); });
}

/// The layer's own score for every query, beside those of all keys; its value is zero.
void add_sink_logit(const ModelConfig& c, const AttentionWeights& w, const Tensor& x_PBTD, ops::Heads& heads) {
  const ops::cpu::Capture::Scope aside(nullptr);  // constants: captured work need not make them again
  const auto sizes_PBT = x_PBTD.sizes().slice(0, 3);
  const Tensor s_BTH = w.sink_logit_H.to(x_PBTD.scalar_type()).expand({sizes_PBT[1], sizes_PBT[2], c.num_heads});
  heads.sink_PBTH = sizes_PBT[0] == 2 ? at::stack({s_BTH, at::zeros_like(s_BTH)}) : s_BTH.contiguous().unsqueeze(0);
  heads.sink_v_Gd = at::zeros({c.num_kv_heads, c.head_dim}, x_PBTD.options());
  heads.sink_always = true;
}

/// o sigmoid(z), with the tangent's plane where there is one: d(o s) = do s + o s (1 - s) dz. A plane that one of them
/// lacks is a zero tangent.
Tensor times_sigmoid(const Tensor& o_PBTC, const Tensor& z_PBTC) {
  return ops::captured([=] {
    const Tensor o = ops::widened(ops::primal(o_PBTC)), s = ops::widened(ops::primal(z_PBTC)).sigmoid(), y = o * s;
    if (!ops::is_dual(o_PBTC) && !ops::is_dual(z_PBTC)) return y.to(o_PBTC.scalar_type()).unsqueeze(0);
    Tensor dy = at::zeros_like(y);
    if (ops::is_dual(o_PBTC)) dy = dy + ops::widened(ops::tangent(o_PBTC)) * s;
    if (ops::is_dual(z_PBTC)) dy = dy + y * (1 - s) * ops::widened(ops::tangent(z_PBTC));
    return at::stack({y, dy}).to(o_PBTC.scalar_type());
  });
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
    heads.q_PBTHd = times_factor(heads.q_PBTHd, factor);
  if (w.sink_HD.defined()) {
    heads.sink_PBTH = ops::linear(x_PBTD, w.sink_HD);
    heads.sink_v_Gd = w.sink_v_C.view({c.num_kv_heads, c.head_dim});
  }
  if (w.sink_logit_H.defined()) add_sink_logit(c, w, x_PBTD, heads);
  Tensor o_PBTC = pass.carry.attend(pass.layer, heads).flatten(-2);
  if (w.wg_CD.defined()) o_PBTC = times_sigmoid(o_PBTC, ops::linear(x_PBTD, w.wg_CD));
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
