// Random models small enough for exact tests.
#pragma once

#include "max_difference.h"
#include "model/network.h"
#include "tiny_mixers.h"

#include <limits>
#include <map>
#include <random>

namespace ingrain::test {

/// What families do otherwise (src/families), as far as a LayerSpec says it.
enum class Like { us, gemma3, olmo3, granite_swa, phi4_mini, ministral3 };

inline void be_like(Like like, ModelConfig& c) {
  const auto all = [&](const auto& change) { c.change_layers(change); };
  const auto slide_in_every_other = [&](double theta) {
    c.each_layer([&](LayerSpec& layer, int64_t i) {
      layer.window = i % 2 ? LayerSpec::kFullAttention : 5;
      if (i % 2 == 0) layer.rope_theta = theta;
    });
  };
  switch (like) {
    case Like::us: return;
    case Like::gemma3:
      c.embedding_scale = 4;
      slide_in_every_other(10000);
      all([](LayerSpec& layer) {
        layer.activation = Activation::gelu_tanh;
        layer.attention_scale = 0.2;
      });
      return;
    case Like::olmo3:
      slide_in_every_other(10000);
      all([](LayerSpec& layer) {
        layer.pre_norm = false;
        layer.post_norm = layer.qk_norm = layer.qk_norm_whole = true;
      });
      return;
    case Like::granite_swa:
      c.embedding_scale = 3;
      c.residual_scale = 0.4;
      all([](LayerSpec& layer) {
        layer.qk_norm = layer.post_norm = false;
        layer.sink_logit = true;
      });
      c.fast_post_norm = false;
      slide_in_every_other(100);
      return;
    case Like::phi4_mini:
      c.rope_interleaved = false;
      all([](LayerSpec& layer) {
        layer.rotated_share = 0.5;
        RopeScaling& s = layer.rope_scaling;
        s.kind = RopeScaling::Kind::longrope;
        s.original_max_position = 8;
        s.attention_factor = 1.2;
        s.short_factor = {1, 1.5};
        s.long_factor = {2, 7};
      });
      slide_in_every_other(10000);
      return;
    case Like::ministral3:
      all([](LayerSpec& layer) {
        layer.query_growth = 0.5;
        layer.rope_scaling.kind = RopeScaling::Kind::yarn;
        layer.rope_scaling.factor = 4;
        layer.rope_scaling.original_max_position = 8;
      });
      return;
  }
}

struct TinyShape {
  int64_t layers = 3, suffix = 2, window = 12, chunk = 8, kv_heads = 2;
  bool tie = true, post_norm = true, learned_rates = false;
  double inner_lr = 0.7, inner_clip = 0.5;
  int64_t unrotated = 0;                    // every so manieth layer is without RoPE
  std::map<std::string, int64_t> mixers{};  // by name: every so manieth layer has one; the last by name wins
  int64_t full = 0;                         // every so manieth layer has full attention, or another window
  int64_t full_window = LayerSpec::kFullAttention;
  bool sink = false, output_gate = false;
  int64_t without_mlp = 0;  // every so manieth layer
  Like like = Like::us;
  InnerRule inner{};
};

inline ModelConfig tiny_config(const TinyShape& shape) {
  ModelConfig c;
  c.vocab_size = 37;
  c.hidden_size = 16;
  c.num_layers = shape.layers;
  c.num_heads = 2;
  c.num_kv_heads = shape.kv_heads;
  c.head_dim = 8;
  c.mlp_size = 24;
  c.fast_mlp_size = shape.suffix > 0 ? 20 : 0;
  c.suffix_len = shape.suffix;
  c.window = shape.window;
  c.chunk = shape.chunk;
  c.tie_embeddings = shape.tie;
  c.post_norm = c.fast_post_norm = shape.post_norm;
  c.learned_inner_rates = shape.learned_rates;
  c.inner_lr = shape.inner_lr;
  c.inner_clip = shape.inner_clip;
  c.inner = shape.inner;
  c.bos_id = 1;
  c.init_std = 0.3;
  if (!shape.mixers.empty()) give_tiny_sizes(c);
  c.each_layer([&](LayerSpec& layer, int64_t i) {
    const auto this_one = [&](int64_t every) { return every > 0 && (i + 1) % every == 0; };
    layer.rotated = !this_one(shape.unrotated);
    for (const auto& [name, every] : shape.mixers)
      if (this_one(every)) layer.mixer = mixer_named(name);
    if (this_one(shape.full)) layer.window = shape.full_window;
    layer.mlp = !this_one(shape.without_mlp);
    layer.output_gate = shape.output_gate && layer.mixer == kAttention;
    layer.sink = shape.sink && layer.mixer == kAttention;
  });
  be_like(shape.like, c);
  return c;
}

/// Each recurrent mixer in all layers, and with attention and windows in the suffix, in chunks that fit nothing.
inline std::vector<TinyShape> shapes_of_recurrent_mixers() {
  std::vector<TinyShape> out;
  for (const std::string& mixer : recurrent_mixers()) {
    out.push_back({.suffix = 0, .mixers = {{mixer, 1}}});
    out.push_back({.layers = 4, .suffix = 3, .window = 5, .chunk = 5, .mixers = {{mixer, 2}}, .full = 3});
  }
  return out;
}

/// Rules of the inner step that differ from clipped SGD in one thing each, and in all.
inline std::vector<InnerRule> other_inner_rules() {
  return {{.momentum = 0.8},
          {.decay = 0.2},
          {.w13_factor = 0.3},
          {.steps = 2},
          {.optimizer = InnerOptimizer::muon},
          {.optimizer = InnerOptimizer::muon, .momentum = 0.6, .decay = 0.1, .w13_factor = 2, .steps = 3}};
}

/// A rate at which they learn and nothing runs away: every singular value of Muon's step is as large as its rate.
inline double rate_of(const InnerRule& rule) { return rule.optimizer == InnerOptimizer::muon ? 0.01 : 0.2; }

/// Steps that take effect some tokens later: one, some, all but one of a chunk's; by several rules.
inline std::vector<TinyShape> shapes_of_delayed_steps() {
  std::vector<TinyShape> out{{.inner = {.step_delay = 1}},
                             {.layers = 4, .suffix = 3, .window = 5, .learned_rates = true, .inner = {.step_delay = 3}},
                             {.suffix = 1, .window = 1, .chunk = 2, .inner = {.step_delay = 1}},
                             {.window = 37, .chunk = 24, .sink = true, .inner = {.step_delay = 17}}};
  for (InnerRule rule : other_inner_rules()) {
    rule.steps = 1;
    rule.step_delay = 4;
    out.push_back({.layers = 4,
                   .suffix = 3,
                   .chunk = 5,
                   .learned_rates = true,
                   .inner_lr = rate_of(rule),
                   .mixers = {{"gated_delta_net", 2}},
                   .without_mlp = 3,
                   .inner = rule});
  }
  return out;
}

/// Weights with norms and rates away from 1, so that no factor is invisible, and states that do not forget at once.
inline Network tiny_model(const TinyShape& shape, at::ScalarType type = at::kDouble, uint64_t seed = 5) {
  Network model{tiny_config(shape), {}, "tiny"};
  Weights w = initial_weights(model.config, seed);
  at::manual_seed(seed);
  visit_parameters(model.config, w, [](const std::string& name, Tensor& x, ParameterKind kind) {
    if (name.ends_with("sink_logit")) x.add_(at::randn_like(x));
    if (kind == ParameterKind::norm || kind == ParameterKind::rate || name.ends_with("sink_v"))
      x.add_(at::randn_like(x), 0.2);
    // The inner MLPs' outputs are normed: far from zero, or what little they differ by would count.
    if (name.ends_with("ttt.b1") || name.ends_with("ttt.b2")) x.add_(at::randn_like(x));
    if (name.ends_with("in_place.conv") || name.ends_with("in_place.proj")) x.add_(at::randn_like(x));
    if (name.ends_with("A_log")) x.sub_(4);
    if (name.ends_with("mamba.dt_bias") || name.ends_with("gdn2.dt_bias"))
      x.add_(4);  // they begin with steps that hardly write
  });
  model.weights = convert(model.config, w, type);
  return model;
}

/// For a tokenizer of bytes with one token before them: only small letters can be written. Bytes outside ASCII would be
/// answers that are no text; a template's own words, answers that end.
inline std::map<int32_t, double> only_letters() {
  std::map<int32_t, double> bias;
  for (int32_t id = 0; id < 257; ++id)
    if (id - 1 < 'a' || id - 1 > 'z') bias[id] = -std::numeric_limits<double>::infinity();
  return bias;
}

inline Tensor random_tokens(const ModelConfig& c, int64_t batch, int64_t count, uint64_t seed = 3) {
  std::mt19937_64 random(seed);
  const Tensor out = at::empty({batch, count}, at::kLong);
  int64_t* p = out.data_ptr<int64_t>();
  for (int64_t i = 0; i < out.numel(); ++i) p[i] = static_cast<int64_t>(random() % static_cast<uint64_t>(c.vocab_size));
  return out;
}

}  // namespace ingrain::test
