// config.json: a field is named once, and read and written from there.
#include "base/error.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "model/config.h"
#include "model/mixers/kinds.h"

#include <nlohmann/json.hpp>

namespace ingrain {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, RopeScaling::Kind> kScalings[] = {{"none", RopeScaling::Kind::none},
                                                                   {"linear", RopeScaling::Kind::linear},
                                                                   {"llama3", RopeScaling::Kind::llama3},
                                                                   {"yarn", RopeScaling::Kind::yarn},
                                                                   {"longrope", RopeScaling::Kind::longrope}};
constexpr std::pair<const char*, Activation> kActivations[] = {
    {"silu", Activation::silu}, {"gelu", Activation::gelu}, {"gelu_pytorch_tanh", Activation::gelu_tanh}};
constexpr std::pair<const char*, InnerOptimizer> kInnerOptimizers[] = {{"sgd", InnerOptimizer::sgd},
                                                                       {"muon", InnerOptimizer::muon}};

/// Whether a field is written even where it has its usual value: those that files had before there were layers.
enum class Written { always, unusual };

/// Every field of a layer: visit(key, member, what it usually is, when it is written).
template <class Layer, class Visit>
void layer_fields(Layer& l, const LayerSpec& usual, Visit& visit) {
  visit("mixer", l.mixer, usual.mixer, Written::unusual);
  visit("sliding_window", l.window, usual.window, Written::always);
  visit("rope", l.rotated, usual.rotated, Written::unusual);
  visit("rope_theta", l.rope_theta, usual.rope_theta, Written::always);
  visit("partial_rotary_factor", l.rotated_share, usual.rotated_share, Written::unusual);
  visit("rope_scaling", l.rope_scaling, usual.rope_scaling, Written::always);
  visit("query_growth", l.query_growth, usual.query_growth, Written::unusual);
  visit("attention_scale", l.attention_scale, usual.attention_scale, Written::unusual);
  visit("attention_softcap", l.attention_softcap, usual.attention_softcap, Written::unusual);
  visit("attention_sink", l.sink, usual.sink, Written::unusual);
  visit("attention_sink_logit", l.sink_logit, usual.sink_logit, Written::unusual);
  visit("qk_norm", l.qk_norm, usual.qk_norm, Written::always);
  visit("qk_norm_whole", l.qk_norm_whole, usual.qk_norm_whole, Written::unusual);
  visit("attention_output_gate", l.output_gate, usual.output_gate, Written::unusual);
  visit("attention_bias", l.qkv_bias, usual.qkv_bias, Written::always);
  visit("attention_output_bias", l.o_bias, usual.o_bias, Written::unusual);
  visit("mlp_bias", l.mlp_bias, usual.mlp_bias, Written::unusual);
  visit("mlp", l.mlp, usual.mlp, Written::unusual);
  visit("pre_norm", l.pre_norm, usual.pre_norm, Written::unusual);
  visit("post_norm", l.post_norm, usual.post_norm, Written::always);
  visit("hidden_act", l.activation, usual.activation, Written::unusual);
}

/// Every field of a model but `layers`.
template <class Model, class Visit>
void model_fields(Model& m, Visit& visit) {
  const ModelConfig usual;
  const auto always = [&](const char* key, auto& member) { visit(key, member, member, Written::always); };
  const auto unusual = [&](const char* key, auto& member, const auto& other) {
    visit(key, member, other, Written::unusual);
  };
  always("vocab_size", m.vocab_size);
  always("hidden_size", m.hidden_size);
  always("num_hidden_layers", m.num_layers);
  always("num_attention_heads", m.num_heads);
  always("num_key_value_heads", m.num_kv_heads);
  always("head_dim", m.head_dim);
  always("intermediate_size", m.mlp_size);
  always("suffix_len", m.suffix_len);
  unusual("fast_intermediate_size", m.fast_mlp_size, m.suffix_len > 0 ? int64_t{-1} : m.fast_mlp_size);
  always("chunk_size", m.chunk);
  always("rms_norm_eps", m.rms_eps);
  layer_fields(m, usual, visit);
  each_mixer(m.mixers, [&](MixerKind, auto& sizes) {
    const std::remove_cvref_t<decltype(sizes)> usual_sizes{};
    sizes.fields([&](const char* key, auto member) { unusual(key, sizes.*member, usual_sizes.*member); });
  });
  always("fast_post_norm", m.fast_post_norm);
  always("tie_word_embeddings", m.tie_embeddings);
  always("learned_inner_rates", m.learned_inner_rates);
  always("rope_interleaved", m.rope_interleaved);
  unusual("embedding_scale", m.embedding_scale, usual.embedding_scale);
  unusual("residual_scale", m.residual_scale, usual.residual_scale);
  unusual("logit_scale", m.logit_scale, usual.logit_scale);
  unusual("logit_softcap", m.logit_softcap, usual.logit_softcap);
  always("bos_token_id", m.bos_id);
  always("eos_token_id", m.eos_ids);
  always("inner_lr", m.inner_lr);
  always("inner_clip", m.inner_clip);
  unusual("inner_optimizer", m.inner.optimizer, usual.inner.optimizer);
  unusual("inner_momentum", m.inner.momentum, usual.inner.momentum);
  unusual("inner_decay", m.inner.decay, usual.inner.decay);
  unusual("inner_w13_factor", m.inner.w13_factor, usual.inner.w13_factor);
  unusual("inner_steps", m.inner.steps, usual.inner.steps);
  unusual("inner_step_delay", m.inner.step_delay, usual.inner.step_delay);
  always("initializer_range", m.init_std);
  always("trained_sequence_length", m.trained_length);
}

RopeScaling parse_scaling(const Field& fields);

/// Reads an object's fields by name. A window of null is full attention, a scaling of null is none.
class FieldReader {
 public:
  explicit FieldReader(const Field& fields) : fields_(fields) {}

  template <class T, class U>
  void operator()(const char* key, T& out, const U&, Written) {
    if (const auto field = fields_.find(key))
      read(*field, out);
    else if (fields_.json().contains(key))
      read_null(key, out);
  }

  static void read(const Field& field, bool& out) { out = field.boolean(); }
  static void read(const Field& field, int64_t& out) { out = field.integer(); }
  static void read(const Field& field, double& out) { out = field.number(); }
  static void read(const Field& field, std::vector<int64_t>& out) { out = field.integers(); }
  static void read(const Field& field, std::vector<double>& out) {
    out.clear();
    for (const Field& one : field.elements()) out.push_back(one.number());
  }
  static void read(const Field& field, RopeScaling& out) { out = parse_scaling(field); }
  static void read(const Field& field, MixerKind& out) { read_word(field, out, kMixerNames); }
  static void read(const Field& field, Activation& out) { read_word(field, out, kActivations); }
  static void read(const Field& field, InnerOptimizer& out) { read_word(field, out, kInnerOptimizers); }
  static void read(const Field& field, RopeScaling::Kind& out) { read_word(field, out, kScalings); }

 private:
  template <class T>
  static void read_null(const char*, T&) {}
  static void read_null(const char* key, int64_t& out) {
    if (std::string_view(key) == "sliding_window") out = ModelConfig::kFullAttention;
  }
  static void read_null(const char*, RopeScaling& out) { out = {}; }

  template <class T, size_t n>
  static void read_word(const Field& field, T& out, const std::pair<const char*, T> (&words)[n]) {
    const std::string given = field.string();
    std::vector<std::string> known;
    for (const auto& [word, value] : words) {
      if (given == word) {
        out = value;
        return;
      }
      if (std::string_view(word) != "none") known.emplace_back(word);
    }
    fail("{}: '{}' is not known; known are: {}", field.name(), printable(given), fmt::join(known, ", "));
  }

  const Field& fields_;
};

RopeScaling parse_scaling(const Field& fields) {
  RopeScaling s;
  const auto read = [&](const char* key, auto& out) {
    if (const auto field = fields.find(key)) FieldReader::read(*field, out);
  };
  read("rope_type", s.kind);
  read("factor", s.factor);
  read("original_max_position_embeddings", s.original_max_position);
  read("low_freq_factor", s.low_freq_factor);
  read("high_freq_factor", s.high_freq_factor);
  read("beta_fast", s.beta_fast);
  read("beta_slow", s.beta_slow);
  read("short_factor", s.short_factor);
  read("long_factor", s.long_factor);
  if (fields.find("attention_factor")) read("attention_factor", s.attention_factor.emplace());
  fields.finish();
  return s;
}

template <class T, size_t n>
json word(T value, const std::pair<const char*, T> (&words)[n]) {
  for (const auto& [word, known] : words)
    if (known == value) return word;
  return nullptr;
}

/// Writes what is read by FieldReader.
struct FieldWriter {
  json out = json::object();
  bool all = true;  // or only what is unusual

  template <class T, class U>
  void operator()(const char* key, const T& value, const U& usual, Written when) {
    if ((when == Written::always && all) || value != usual) out[key] = to(value);
  }

  static json to(bool value) { return value; }
  static json to(double value) { return value; }
  static json to(const std::vector<int64_t>& value) { return value; }
  static json to(int64_t value) { return value >= ModelConfig::kFullAttention ? json(nullptr) : json(value); }
  static json to(MixerKind value) { return word(value, kMixerNames); }
  static json to(Activation value) { return word(value, kActivations); }
  static json to(InnerOptimizer value) { return word(value, kInnerOptimizers); }
  static json to(const RopeScaling& s) {
    if (s == RopeScaling{}) return nullptr;
    json out{{"rope_type", word(s.kind, kScalings)}, {"factor", s.factor}};
    if (s.kind != RopeScaling::Kind::linear) out["original_max_position_embeddings"] = s.original_max_position;
    if (s.kind == RopeScaling::Kind::llama3) {
      out["low_freq_factor"] = s.low_freq_factor;
      out["high_freq_factor"] = s.high_freq_factor;
    }
    if (s.kind == RopeScaling::Kind::yarn) {
      out["beta_fast"] = s.beta_fast;
      out["beta_slow"] = s.beta_slow;
    }
    if (s.kind == RopeScaling::Kind::longrope) {
      out["short_factor"] = s.short_factor;
      out["long_factor"] = s.long_factor;
    }
    if (s.attention_factor && (s.kind == RopeScaling::Kind::yarn || s.kind == RopeScaling::Kind::longrope))
      out["attention_factor"] = *s.attention_factor;
    return out;
  }
};

/// Notes which fields there are.
struct FieldLister {
  std::vector<std::string> keys{"model_type", "layers"};
  template <class T, class U>
  void operator()(const char* key, const T&, const U&, Written) {
    keys.emplace_back(key);
  }
};

/// "layers": an object for each, with what it has otherwise than the model.
void parse_layers(const Field& list, ModelConfig& c) {
  const std::vector<Field> layers = list.elements();
  if (static_cast<int64_t>(layers.size()) != c.num_layers)
    list.refuse(fmt::format("must be a list of {} objects, one for each layer", c.num_layers));
  c.layers.assign(layers.size(), c);
  for (size_t i = 0; i < layers.size(); ++i) {
    FieldReader reader(layers[i]);
    layer_fields(c.layers[i], c, reader);
    layers[i].finish();
  }
}

}  // namespace

ModelConfig parse_config(const json& object, std::string_view where) {
  const Field fields(object, std::string(where));
  if (const auto type = fields.find("model_type"); type && type->json() != "ingrain")
    type->refuse(fmt::format("is {}; models of other programs come in through './ingrain import'",
                             printable(type->json().dump())));
  ModelConfig c;
  FieldReader reader(fields);
  model_fields(c, reader);
  if (!fields.find("num_key_value_heads")) c.num_kv_heads = c.num_heads;
  if (!fields.find("head_dim")) c.head_dim = c.num_heads > 0 ? c.hidden_size / c.num_heads : 0;
  if (!fields.find("fast_intermediate_size")) c.fast_mlp_size = c.suffix_len > 0 ? c.mlp_size : 0;
  if (!fields.find("fast_post_norm")) c.fast_post_norm = c.post_norm;
  const auto layers = fields.find("layers");
  fields.finish();
  if (layers) parse_layers(*layers, c);
  validate(c, where);
  return c;
}

json to_json(const ModelConfig& c) {
  FieldWriter writer;
  writer.out["model_type"] = "ingrain";
  model_fields(c, writer);
  if (!c.layers.empty()) {
    json list = json::array();
    for (const LayerSpec& layer : c.layers) {
      FieldWriter own;
      own.all = false;
      layer_fields(layer, c, own);
      list.push_back(std::move(own.out));
    }
    writer.out["layers"] = std::move(list);
  }
  return std::move(writer.out);
}

std::vector<std::string> config_keys() {
  const ModelConfig any;
  FieldLister lister;
  model_fields(any, lister);
  return std::move(lister.keys);
}

ModelConfig load_config(const std::filesystem::path& path) {
  return parse_config(read_json(path, 1 << 20), path.string());
}

}  // namespace ingrain
