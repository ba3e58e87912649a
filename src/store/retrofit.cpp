#include "store/retrofit.h"

#include "base/error.h"
#include "base/option_error.h"
#include "model/block.h"
#include "model/mixers/attention/attention.h"
#include "model/rope.h"
#include "ops/embedding/embedding.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

namespace ingrain {

namespace {

/// A layer's sink: its score with a query q is q R(-distance) k / sqrt(d), with the key k of bos at position 0, which
/// depends on nothing else. q = x wq, before its rotation: the score is a product with x.
void set_sink(const ModelConfig& c, int64_t layer, AttentionWeights& w, const ops::Heads& bos, double amplitude) {
  const int64_t H = c.num_heads, G = c.num_kv_heads, d = c.head_dim;
  const Tensor k_Hd = bos.k_PBTGd.view({G, d}).repeat_interleave(H / G, 0);
  const Tensor wq_HdD = w.wqkv_CD.narrow(0, 0, H * d).view({H, d, c.hidden_size});
  w.sink_HD = k_Hd.unsqueeze(1).bmm(wq_HdD).squeeze(1) * (attention_scale(c, layer) * amplitude);
  w.sink_v_C = bos.v_PBTGd.flatten().clone();
}

/// bos alone through the base, and from what its layers make of it their sinks. c: the retrofitted model's.
void set_sinks(const Network& base, const ModelConfig& c, Weights& out) {
  if (!std::any_of(c.layers.begin(), c.layers.end(), [](const LayerSpec& l) { return l.sink; }) && !c.sink) return;
  const at::NoGradGuard no_grad;
  Tensor h_PBTD =
      ops::embedding(out.embedding_VD, at::full({1, 1}, c.bos_id, at::kLong), c.embedding_scale).unsqueeze(0);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    BlockWeights& block = out.blocks[static_cast<size_t>(i)];
    const Tensor back = at::full({1}, c.layer(i).sink ? -(c.layer(i).window - 1) : 0, at::kLong);
    const Rope rope = rope_at(c, back, rope_frequencies(c), at::kFloat);
    const auto attend = [&](int64_t, const ops::Heads& bos) {
      const double amplitude = c.layer(i).rotated ? rope_amplitude(c.layer(i).rope_scaling) : 1;
      if (c.layer(i).sink) set_sink(c, i, block.mixer.of<AttentionWeights>(), bos, amplitude);
      return bos.v_PBTGd.repeat_interleave(c.num_heads / c.num_kv_heads, 3);  // it sees itself alone
    };
    const Carry alone{attend, [](int64_t, const auto& run) {
                        RecurrentState state;
                        return run(state);
                      }};
    h_PBTD = mlp_step(base.config, block, mixer_step(base.config, block, h_PBTD, alone, rope, {}, i), {}, i);
  }
}

}  // namespace

namespace {

/// Those that see furthest: a model with sliding layers keeps them as it was trained. Of these all but `keep_full`,
/// which lie evenly between the first and the last.
std::vector<bool> layers_to_window(const ModelConfig& base, const RetrofitOptions& o) {
  std::vector<int64_t> widest;
  for (int64_t i = 0; i < base.num_layers; ++i)
    if (base.layer(i).mixer == kAttention && base.layer(i).window == base.widest_window()) widest.push_back(i);
  const auto count = static_cast<int64_t>(widest.size());
  if (o.keep_full < 0 || o.keep_full > count)
    fail_option("keep_full", "is {}; the model has {} layers that see as far", o.keep_full, count);
  std::vector<bool> out(static_cast<size_t>(base.num_layers), false);
  for (const int64_t i : widest) out[static_cast<size_t>(i)] = true;
  for (int64_t k = 0; k < o.keep_full; ++k)
    out[static_cast<size_t>(widest[static_cast<size_t>((2 * k + 1) * count / (2 * o.keep_full))])] = false;
  return out;
}

}  // namespace

bool can_keep_sink(const ModelConfig& base, int64_t layer) {
  const LayerSpec& l = base.layer(layer);
  const bool turns_whole = !l.rotated || l.rotated_share == 1 || rope_amplitude(l.rope_scaling) == 1;
  return l.mixer == kAttention && !l.qk_norm && !l.qkv_bias && !l.sink_logit && l.query_growth == 0 && turns_whole &&
         base.bos_id >= 0;
}

ModelConfig retrofit_config(const ModelConfig& base, const RetrofitOptions& o, std::string_view where) {
  require(base.suffix_len == 0, "{}: has fast MLPs in its last {} blocks already; retrofit a model that has none",
          where, base.suffix_len);
  const auto at_least_one = [](const char* option, int64_t value) {
    if (value < 1) fail_option(option, "is {}; it must be at least 1", value);
  };
  ModelConfig c = base;
  c.suffix_len = o.suffix.value_or(std::max<int64_t>(1, base.num_layers / 2));
  c.fast_mlp_size = o.fast_mlp.value_or(std::max<int64_t>(1, base.mlp_size / 12));
  at_least_one("window", o.window);
  at_least_one("chunk", o.chunk);
  at_least_one("suffix", c.suffix_len);
  at_least_one("fast_mlp", c.fast_mlp_size);
  if (o.start == FastStart::copied && c.fast_mlp_size > base.mlp_size)
    fail_option("fast_mlp", "is {}; the MLPs of {} that it copies from are {} wide; choose less, or start at random",
                c.fast_mlp_size, where, base.mlp_size);
  if (c.suffix_len > base.num_layers)
    fail_option("suffix", "is {}; {} has {} blocks", c.suffix_len, where, base.num_layers);
  if (o.window > base.widest_window())
    fail_option("window", "is {}; {} was made for a window of {}", o.window, where, base.widest_window());
  c.inner = o.inner;
  c.inner_lr = o.inner_lr.value_or(o.inner.optimizer == InnerOptimizer::muon ? 0.06 : 1);
  if (!(c.inner_lr > 0) || !std::isfinite(c.inner_lr))
    fail_option("inner_lr", "is {}; it must be positive", c.inner_lr);
  if (!o.layer_rates.empty() && static_cast<int64_t>(o.layer_rates.size()) != c.suffix_len)
    fail_option("layer_rates", "holds {} numbers; {} blocks get a fast MLP", o.layer_rates.size(), c.suffix_len);
  for (const double rate : o.layer_rates)
    if (!(rate >= 0) || !std::isfinite(rate)) fail_option("layer_rates", "holds {}; none may be negative", rate);
  if (!(o.inner.momentum >= 0 && o.inner.momentum < 1))
    fail_option("inner_momentum", "is {}; it must be at least 0 and below 1", o.inner.momentum);
  if (!(o.inner.decay >= 0 && o.inner.decay < 1))
    fail_option("inner_decay", "is {}; it must be at least 0 and below 1", o.inner.decay);
  const std::vector<bool> windowed = layers_to_window(base, o);
  c.each_layer([&](LayerSpec& layer, int64_t i) {
    if (!windowed[static_cast<size_t>(i)]) return;
    layer.sink = layer.sink || (o.sink && o.window >= 2 && o.window < layer.window && can_keep_sink(base, i));
    layer.window = std::min(layer.window, o.window);
  });
  c.chunk = o.chunk;
  c.fast_post_norm = false;
  c.learned_inner_rates = true;
  validate(c, where);
  return c;
}

Weights retrofit_weights(const Network& base, const ModelConfig& c, const RetrofitOptions& o) {
  const int64_t D = c.hidden_size, F = c.fast_mlp_size;
  Weights out = convert(base.config, base.weights, at::kFloat);
  set_sinks(base, c, out);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(o.seed);
  for (int64_t i = c.prefix_len(); i < c.num_layers; ++i) {
    BlockWeights& block = out.blocks[static_cast<size_t>(i)];
    Tensor w13_FD;
    if (o.start == FastStart::copied) {
      w13_FD = block.mlp.w13_FD.view({2, c.mlp_size, D}).narrow(1, 0, F).reshape({2 * F, D}).clone();
      block.fast_norm_D = block.mlp_norm_D.defined() ? block.mlp_norm_D.clone() : at::ones({D});
    } else {
      w13_FD = at::empty({2 * F, D}).normal_(0, 1 / std::sqrt(static_cast<double>(D)), generator);
      block.fast_norm_D = at::ones({D});
    }
    out.fast_S.push_back({w13_FD, at::zeros({D, F})});
  }
  out.inner_rate_S = at::ones({c.suffix_len});
  for (size_t s = 0; s < o.layer_rates.size(); ++s) out.inner_rate_S[static_cast<int64_t>(s)] = o.layer_rates[s];
  return out;
}

}  // namespace ingrain
