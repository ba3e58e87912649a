#include "model/config.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace ingrain {
namespace {

using nlohmann::json;

constexpr int64_t kMaxSize = int64_t{1} << 24;

const char* name(RopeScaling::Kind kind) {
  switch (kind) {
    case RopeScaling::Kind::linear: return "linear";
    case RopeScaling::Kind::llama3: return "llama3";
    case RopeScaling::Kind::yarn: return "yarn";
    case RopeScaling::Kind::none: break;
  }
  return "none";
}

/// Reads an object's fields by name, remembers which names exist, and complains about any other.
class Fields {
 public:
  Fields(const json& object, std::string_view where) : object_(object), where_(where) {
    require(object.is_object(), "{}: a JSON object is expected", where);
  }

  template <class T>
  void read(const char* key, T& out) {
    known_.emplace_back(key);
    const auto at = object_.find(key);
    if (at == object_.end() || at->is_null()) return;
    if constexpr (std::is_same_v<T, bool>) {
      require(at->is_boolean(), "{}: '{}' must be true or false", where_, key);
    } else if constexpr (std::is_integral_v<T>) {
      require(at->is_number_integer(), "{}: '{}' must be an integer", where_, key);
    } else if constexpr (std::is_floating_point_v<T>) {
      require(at->is_number(), "{}: '{}' must be a number", where_, key);
    }
    out = at->get<T>();
  }

  const json* find(const char* key) {
    known_.emplace_back(key);
    const auto at = object_.find(key);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }

  void finish() const {
    for (const auto& [key, unused] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      fail("{}: unknown field '{}'{}", where_, printable(key), did_you_mean(key, known_));
    }
  }

 private:
  const json& object_;
  std::string_view where_;
  std::vector<std::string> known_;
};

RopeScaling parse_scaling(const json& object, std::string_view where) {
  const std::string inside = fmt::format("{}: rope_scaling", where);
  Fields fields(object, inside);
  RopeScaling s;
  std::string kind = "none";
  if (const json* k = fields.find("rope_type")) {
    require(k->is_string(), "{}: 'rope_type' must be a string", inside);
    kind = k->get<std::string>();
  }
  bool known = false;
  for (const auto candidate :
       {RopeScaling::Kind::none, RopeScaling::Kind::linear, RopeScaling::Kind::llama3, RopeScaling::Kind::yarn})
    if (kind == name(candidate)) s.kind = candidate, known = true;
  require(known, "{}: rope_type '{}' is not known; linear, llama3 and yarn are", inside, kind);
  fields.read("factor", s.factor);
  fields.read("original_max_position_embeddings", s.original_max_position);
  fields.read("low_freq_factor", s.low_freq_factor);
  fields.read("high_freq_factor", s.high_freq_factor);
  fields.read("beta_fast", s.beta_fast);
  fields.read("beta_slow", s.beta_slow);
  if (const json* a = fields.find("attention_factor")) {
    require(a->is_number(), "{}: 'attention_factor' must be a number", inside);
    s.attention_factor = a->get<double>();
  }
  fields.finish();
  require(std::isfinite(s.factor) && s.factor >= 1, "{}: 'factor' is {}; it must be at least 1", inside, s.factor);
  if (s.kind == RopeScaling::Kind::llama3 || s.kind == RopeScaling::Kind::yarn)
    require(s.original_max_position >= 1, "{}: '{}' needs 'original_max_position_embeddings'", inside, kind);
  return s;
}

json scaling_to_json(const RopeScaling& s) {
  if (s.kind == RopeScaling::Kind::none) return nullptr;
  json out{{"rope_type", name(s.kind)}, {"factor", s.factor}};
  if (s.kind != RopeScaling::Kind::linear) out["original_max_position_embeddings"] = s.original_max_position;
  if (s.kind == RopeScaling::Kind::llama3) {
    out["low_freq_factor"] = s.low_freq_factor;
    out["high_freq_factor"] = s.high_freq_factor;
  }
  if (s.kind == RopeScaling::Kind::yarn) {
    out["beta_fast"] = s.beta_fast;
    out["beta_slow"] = s.beta_slow;
    if (s.attention_factor) out["attention_factor"] = *s.attention_factor;
  }
  return out;
}

std::vector<int64_t> parse_ids(const json& value, std::string_view where) {
  std::vector<int64_t> ids;
  for (const json& id : value.is_array() ? value : json::array({value})) {
    require(id.is_number_integer(), "{}: 'eos_token_id' must be an integer or a list of integers", where);
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

}  // namespace

void validate(const ModelConfig& c, std::string_view where) {
  const auto size = [&](const char* field, int64_t value, int64_t least) {
    require(value >= least && value <= kMaxSize, "{}: '{}' is {}; it must be between {} and {}", where, field, value,
            least, kMaxSize);
  };
  size("vocab_size", c.vocab_size, 2);
  size("hidden_size", c.hidden_size, 1);
  size("num_attention_heads", c.num_heads, 1);
  size("num_key_value_heads", c.num_kv_heads, 1);
  size("head_dim", c.head_dim, 2);
  size("intermediate_size", c.mlp_size, 1);
  size("chunk_size", c.chunk, 1);
  require(c.num_layers >= 1 && c.num_layers <= 1024, "{}: 'num_hidden_layers' is {}; it must be between 1 and 1024",
          where, c.num_layers);
  require(c.head_dim % 2 == 0, "{}: 'head_dim' is {}; RoPE needs an even number", where, c.head_dim);
  require(c.num_heads % c.num_kv_heads == 0,
          "{}: 'num_attention_heads' ({}) must be a multiple of 'num_key_value_heads' ({})", where, c.num_heads,
          c.num_kv_heads);
  require(c.suffix_len >= 0 && c.suffix_len <= c.num_layers,
          "{}: 'suffix_len' is {}; it must be between 0 and 'num_hidden_layers' ({})", where, c.suffix_len,
          c.num_layers);
  if (c.suffix_len > 0) size("fast_intermediate_size", c.fast_mlp_size, 1);
  require(c.window >= 1, "{}: 'sliding_window' is {}; it must be at least 1, or null for full attention", where,
          c.window);
  const auto positive = [&](const char* field, double value) {
    require(std::isfinite(value) && value > 0, "{}: '{}' is {}; it must be positive", where, field, value);
  };
  positive("rms_norm_eps", c.rms_eps);
  positive("rope_theta", c.rope_theta);
  positive("inner_clip", c.inner_clip);
  require(std::isfinite(c.inner_lr) && c.inner_lr >= 0, "{}: 'inner_lr' is {}; it must not be negative", where,
          c.inner_lr);
  require(c.bos_id >= -1 && c.bos_id < c.vocab_size, "{}: 'bos_token_id' is {}; the vocabulary has {} ids", where,
          c.bos_id, c.vocab_size);
  for (const int64_t id : c.eos_ids)
    require(id >= 0 && id < c.vocab_size, "{}: 'eos_token_id' holds {}; the vocabulary has {} ids", where, id,
            c.vocab_size);
}

ModelConfig parse_config(const json& object, std::string_view where) {
  Fields fields(object, where);
  ModelConfig c;
  std::string type = "ingrain";
  fields.read("model_type", type);
  require(type == "ingrain", "{}: 'model_type' is '{}'; models of other programs come in through './ingrain import'",
          where, type);
  fields.read("vocab_size", c.vocab_size);
  fields.read("hidden_size", c.hidden_size);
  fields.read("num_hidden_layers", c.num_layers);
  fields.read("num_attention_heads", c.num_heads);
  c.num_kv_heads = c.num_heads;
  fields.read("num_key_value_heads", c.num_kv_heads);
  c.head_dim = c.num_heads > 0 ? c.hidden_size / c.num_heads : 0;
  fields.read("head_dim", c.head_dim);
  fields.read("intermediate_size", c.mlp_size);
  fields.read("suffix_len", c.suffix_len);
  c.fast_mlp_size = c.suffix_len > 0 ? c.mlp_size : 0;
  fields.read("fast_intermediate_size", c.fast_mlp_size);
  fields.read("sliding_window", c.window);
  fields.read("chunk_size", c.chunk);
  fields.read("rms_norm_eps", c.rms_eps);
  fields.read("qk_norm", c.qk_norm);
  fields.read("post_norm", c.post_norm);
  c.fast_post_norm = c.post_norm;
  fields.read("fast_post_norm", c.fast_post_norm);
  fields.read("attention_bias", c.qkv_bias);
  fields.read("tie_word_embeddings", c.tie_embeddings);
  fields.read("learned_inner_rates", c.learned_inner_rates);
  fields.read("rope_theta", c.rope_theta);
  fields.read("rope_interleaved", c.rope_interleaved);
  if (const json* scaling = fields.find("rope_scaling")) c.rope_scaling = parse_scaling(*scaling, where);
  fields.read("bos_token_id", c.bos_id);
  if (const json* eos = fields.find("eos_token_id")) c.eos_ids = parse_ids(*eos, where);
  fields.read("inner_lr", c.inner_lr);
  fields.read("inner_clip", c.inner_clip);
  fields.read("initializer_range", c.init_std);
  fields.read("trained_sequence_length", c.trained_length);
  fields.finish();
  validate(c, where);
  return c;
}

json to_json(const ModelConfig& c) {
  json out{{"model_type", "ingrain"},
           {"vocab_size", c.vocab_size},
           {"hidden_size", c.hidden_size},
           {"num_hidden_layers", c.num_layers},
           {"num_attention_heads", c.num_heads},
           {"num_key_value_heads", c.num_kv_heads},
           {"head_dim", c.head_dim},
           {"intermediate_size", c.mlp_size},
           {"suffix_len", c.suffix_len},
           {"chunk_size", c.chunk},
           {"rms_norm_eps", c.rms_eps},
           {"qk_norm", c.qk_norm},
           {"post_norm", c.post_norm},
           {"fast_post_norm", c.fast_post_norm},
           {"attention_bias", c.qkv_bias},
           {"tie_word_embeddings", c.tie_embeddings},
           {"learned_inner_rates", c.learned_inner_rates},
           {"rope_theta", c.rope_theta},
           {"rope_interleaved", c.rope_interleaved},
           {"rope_scaling", scaling_to_json(c.rope_scaling)},
           {"bos_token_id", c.bos_id},
           {"eos_token_id", c.eos_ids},
           {"inner_lr", c.inner_lr},
           {"inner_clip", c.inner_clip},
           {"initializer_range", c.init_std},
           {"trained_sequence_length", c.trained_length}};
  out["sliding_window"] = c.full_attention() ? json(nullptr) : json(c.window);
  if (c.suffix_len > 0) out["fast_intermediate_size"] = c.fast_mlp_size;
  return out;
}

ModelConfig load_config(const std::filesystem::path& path) {
  return parse_config(read_json(path, 1 << 20), path.string());
}

namespace {

struct Preset {
  const char* name;
  int64_t layers, hidden, heads, mlp_with_fast, suffix;
};
constexpr Preset kPresets[] = {{"125m", 12, 768, 12, 1664, 3},
                               {"350m", 24, 1024, 16, 2304, 6},
                               {"760m", 24, 1536, 16, 3328, 6},
                               {"1b", 24, 2048, 32, 4352, 6},
                               {"3b", 32, 2560, 32, 5632, 8}};

}  // namespace

ModelConfig preset(std::string_view name) {
  for (const Preset& p : kPresets) {
    if (name != p.name) continue;
    ModelConfig c;
    c.vocab_size = 128256;
    c.hidden_size = p.hidden;
    c.num_layers = p.layers;
    c.num_heads = c.num_kv_heads = p.heads;
    c.head_dim = p.hidden / p.heads;
    c.mlp_size = c.fast_mlp_size = p.mlp_with_fast;
    c.suffix_len = p.suffix;
    c.window = 8192;
    c.bos_id = 128000;
    c.eos_ids = {128001};
    return c;
  }
  fail_usage("there is no preset '{}'; the presets are {}", name, fmt::join(preset_names(), ", "));
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& p : kPresets) names.emplace_back(p.name);
  return names;
}

}  // namespace ingrain
