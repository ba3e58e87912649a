#include "families/hf_config.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::formats {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxConfig = 4 << 20;
constexpr int64_t kMaxSize = int64_t{1} << 31;

/// The fields of one JSON object, with errors that name the file and the field. A field that is null counts
/// as absent.
class Fields {
 public:
  Fields(const json& object, std::string source, std::string prefix = "")
      : object_(object), source_(std::move(source)), prefix_(std::move(prefix)) {
    require(object.is_object(), "{}: {} is not an object", source_, prefix_.empty() ? "the file" : prefix_);
  }

  const json* find(const std::string& name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::optional<int64_t> size(const std::string& name) const {
    const json* value = find(name);
    if (!value) return std::nullopt;
    const bool valid = value->is_number_integer() && *value >= 1 && *value <= kMaxSize;
    require(valid, "{}: field '{}{}' must be a whole number from 1 to {}", source_, prefix_, name, kMaxSize);
    return value->get<int64_t>();
  }

  int64_t need_size(const std::string& name) const {
    const auto value = size(name);
    require(value.has_value(), "{}: field '{}{}' is missing; is the file a model's config.json?", source_, prefix_,
            name);
    return *value;
  }

  std::optional<double> number(const std::string& name) const {
    const json* value = find(name);
    if (!value) return std::nullopt;
    const bool valid = value->is_number() && std::isfinite(value->get<double>()) && value->get<double>() > 0;
    require(valid, "{}: field '{}{}' must be a positive number", source_, prefix_, name);
    return value->get<double>();
  }

  double need_number(const std::string& name) const {
    const auto value = number(name);
    require(value.has_value(), "{}: field '{}{}' is missing", source_, prefix_, name);
    return *value;
  }

  bool flag(const std::string& name, bool otherwise) const {
    const json* value = find(name);
    require(!value || value->is_boolean(), "{}: field '{}{}' must be true or false", source_, prefix_, name);
    return value ? value->get<bool>() : otherwise;
  }

  std::optional<std::string> text(const std::string& name) const {
    const json* value = find(name);
    if (!value) return std::nullopt;
    require(value->is_string(), "{}: field '{}{}' must be a string", source_, prefix_, name);
    return value->get<std::string>();
  }

  /// A token id or a list of them.
  std::vector<int64_t> ids(const std::string& name) const {
    const json* value = find(name);
    if (!value) return {};
    std::vector<int64_t> out;
    for (const json& id : value->is_array() ? *value : json::array({*value})) {
      require(id.is_number_integer() && id >= 0 && id <= kMaxSize,
              "{}: field '{}{}' must be a token's id or a list of ids", source_, prefix_, name);
      out.push_back(id.get<int64_t>());
    }
    return out;
  }

  const std::string& source() const { return source_; }

 private:
  const json& object_;
  std::string source_, prefix_;
};

struct Family {
  std::string_view architecture, arch;
  bool qk_norm, qkv_bias;
};

constexpr Family kFamilies[] = {{"LlamaForCausalLM", "llama", false, false},
                                {"Qwen2ForCausalLM", "qwen2", false, true},
                                {"Qwen3ForCausalLM", "qwen3", true, false}};

const Family& family_of(const Fields& config) {
  std::string name = config.text("model_type").value_or("");
  if (const json* list = config.find("architectures");
      list && list->is_array() && !list->empty() && list->front().is_string())
    name = list->front().get<std::string>();
  for (const Family& family : kFamilies)
    if (name == family.architecture || name == family.arch) return family;
  fail(
      "{}: the architecture '{}' is not supported; LlamaForCausalLM (SmolLM2 is one), Qwen2ForCausalLM and "
      "Qwen3ForCausalLM are",
      config.source(), printable(name));
}

void refuse_partial_rotation(const Fields& fields) {
  require(fields.number("partial_rotary_factor").value_or(1) == 1,
          "{}: field 'partial_rotary_factor': models that rotate a part of each head are not supported",
          fields.source());
}

/// Features that change the numbers and that the engine does not have.
void refuse_unsupported(const Fields& config) {
  const std::string& source = config.source();
  require(!config.find("quantization_config"),
          "{}: field 'quantization_config': quantized checkpoints are not supported; use the original or a GGUF file",
          source);
  const std::string activation = config.text("hidden_act").value_or("silu");
  require(activation == "silu" || activation == "swish", "{}: field 'hidden_act' is '{}'; only 'silu' is supported",
          source, printable(activation));
  refuse_partial_rotation(config);
}

double yarn_attention_factor(const Fields& scaling, double factor) {
  if (const auto given = scaling.number("attention_factor")) return *given;
  const auto scale = scaling.number("mscale"), scale_all = scaling.number("mscale_all_dim");
  if (!scale || !scale_all || factor <= 1) return default_yarn_attention_factor(factor);
  return (0.1 * *scale * std::log(factor) + 1) / (0.1 * *scale_all * std::log(factor) + 1);
}

RopeScaling read_rope_scaling(const Fields& scaling, int64_t max_positions) {
  RopeScaling out;
  auto type = scaling.text("rope_type");
  if (!type) type = scaling.text("type");
  if (!type || *type == "default") return out;
  out.original_max_position = scaling.size("original_max_position_embeddings").value_or(max_positions);
  out.factor = scaling.need_number("factor");
  if (*type == "linear") {
    out.type = RopeScalingType::linear;
  } else if (*type == "dynamic") {
    out.type = RopeScalingType::dynamic;
  } else if (*type == "llama3") {
    out.type = RopeScalingType::llama3;
    out.low_freq_factor = scaling.need_number("low_freq_factor");
    out.high_freq_factor = scaling.need_number("high_freq_factor");
    out.original_max_position = scaling.need_size("original_max_position_embeddings");
    require(out.high_freq_factor > out.low_freq_factor,
            "{}: field 'rope_scaling.high_freq_factor' must exceed low_freq_factor", scaling.source());
  } else if (*type == "yarn") {
    out.type = RopeScalingType::yarn;
    out.beta_fast = scaling.number("beta_fast").value_or(32);
    out.beta_slow = scaling.number("beta_slow").value_or(1);
    out.attention_factor = yarn_attention_factor(scaling, out.factor);
    require(scaling.flag("truncate", true), "{}: field 'rope_scaling.truncate': false is not supported",
            scaling.source());
  } else {
    fail("{}: field 'rope_scaling.rope_type' is '{}'; linear, dynamic, llama3 and yarn are supported", scaling.source(),
         printable(*type));
  }
  return out;
}

/// RoPE's fields: `rope_theta` and `rope_scaling`, or newer files' `rope_parameters` with both.
void read_rope(const Fields& config, DecoderDescription& out) {
  out.rope_theta = config.number("rope_theta").value_or(10000);
  if (const json* parameters = config.find("rope_parameters")) {
    const Fields fields(*parameters, config.source(), "rope_parameters.");
    refuse_partial_rotation(fields);
    out.rope_theta = fields.number("rope_theta").value_or(out.rope_theta);
    out.rope_scaling = read_rope_scaling(fields, out.max_positions);
  } else if (const json* scaling = config.find("rope_scaling")) {
    out.rope_scaling = read_rope_scaling(Fields(*scaling, config.source(), "rope_scaling."), out.max_positions);
  }
}

/// The window, if all layers have it. Newer files say it layer by layer; older ones from which layer on.
void read_sliding_window(const Fields& config, DecoderDescription& out) {
  const auto window = config.size("sliding_window");
  int64_t windowed = 0;
  if (const json* types = config.find("layer_types")) {
    require(types->is_array() && static_cast<int64_t>(types->size()) == out.layers,
            "{}: field 'layer_types' must list {} layers", config.source(), out.layers);
    for (const json& type : *types) {
      require(type == "full_attention" || type == "sliding_attention",
              "{}: field 'layer_types' holds a layer that is neither 'full_attention' nor 'sliding_attention'",
              config.source());
      windowed += type == "sliding_attention";
    }
  } else if (config.flag("use_sliding_window", false) && window) {
    const json* first = config.find("max_window_layers");
    require(!first || (first->is_number_integer() && *first >= 0),
            "{}: field 'max_window_layers' must be a whole number", config.source());
    // transformers counts 28 layers without a window where the file says nothing.
    windowed = out.layers - (first ? std::min(first->get<int64_t>(), out.layers) : std::min<int64_t>(28, out.layers));
  }
  if (windowed == 0) return;
  require(windowed == out.layers && window,
          "{}: field 'sliding_window': a window in {} of {} layers is not supported; it must be in all or none",
          config.source(), windowed, out.layers);
  out.sliding_window = window;
}

void read_sizes(const Fields& config, DecoderDescription& out) {
  out.vocab_size = config.need_size("vocab_size");
  out.hidden_size = config.need_size("hidden_size");
  out.layers = config.need_size("num_hidden_layers");
  out.heads = config.need_size("num_attention_heads");
  out.kv_heads = config.size("num_key_value_heads").value_or(out.heads);
  out.intermediate_size = config.need_size("intermediate_size");
  out.max_positions = config.need_size("max_position_embeddings");
  const auto head_dim = config.size("head_dim");
  require(head_dim || out.hidden_size % out.heads == 0,
          "{}: field 'head_dim' is missing, and hidden_size {} is not a multiple "
          "of num_attention_heads {}",
          config.source(), out.hidden_size, out.heads);
  out.head_dim = head_dim ? *head_dim : out.arch == "qwen3" ? 128 : out.hidden_size / out.heads;
}

}  // namespace

double default_yarn_attention_factor(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

DecoderDescription parse_hf_config(std::string_view config_json, std::string_view generation_json,
                                   const std::string& source) {
  const json parsed = parse_json(config_json, source);
  const Fields config(parsed, source);
  const Family& family = family_of(config);
  refuse_unsupported(config);
  DecoderDescription out;
  out.arch = family.arch;
  read_sizes(config, out);
  out.rms_eps = config.number("rms_norm_eps").value_or(1e-6);
  out.qk_norm = family.qk_norm;
  // Qwen2 always has biases on q, k, v and none on o; the others have all four or none.
  const bool attention_bias = family.arch != "qwen2" && config.flag("attention_bias", false);
  out.qkv_bias = family.qkv_bias || attention_bias;
  out.o_bias = attention_bias;
  out.mlp_bias = family.arch == "llama" && config.flag("mlp_bias", false);
  out.tie_embeddings = config.flag("tie_word_embeddings", false);
  read_rope(config, out);
  read_sliding_window(config, out);
  out.bos_ids = config.ids("bos_token_id");
  out.eos_ids = config.ids("eos_token_id");
  if (!generation_json.empty()) {
    const json generation = parse_json(generation_json, source + " (generation_config.json)");
    const auto eos = Fields(generation, source + " (generation_config.json)").ids("eos_token_id");
    if (!eos.empty()) out.eos_ids = eos;
  }
  check_description(out, source);
  return out;
}

DecoderDescription read_hf_config(const std::filesystem::path& folder) {
  const auto config = folder / "config.json", generation = folder / "generation_config.json";
  const bool has_generation = std::filesystem::exists(generation);
  return parse_hf_config(read_file(config, kMaxConfig), has_generation ? read_file(generation, kMaxConfig) : "",
                         config.string());
}

void check_description(const DecoderDescription& d, const std::string& source) {
  require(d.heads % d.kv_heads == 0, "{}: {} attention heads cannot share {} key-value heads", source, d.heads,
          d.kv_heads);
  require(d.head_dim % 2 == 0, "{}: heads of {} numbers cannot be rotated in pairs", source, d.head_dim);
  require(d.head_dim <= 1 << 16 && d.heads <= 1 << 16 && d.layers <= 1 << 14 && d.hidden_size <= 1 << 20 &&
              d.intermediate_size <= 1 << 24 && d.vocab_size <= 1 << 24,
          "{}: a model of {} layers, width {}, {} heads of {}, MLP width {} and {} tokens is larger than any that is "
          "supported",
          source, d.layers, d.hidden_size, d.heads, d.head_dim, d.intermediate_size, d.vocab_size);
  for (const auto* ids : {&d.bos_ids, &d.eos_ids})
    for (const int64_t id : *ids)
      require(id < d.vocab_size, "{}: the bos or eos id {} is beyond the {} tokens", source, id, d.vocab_size);
}

}  // namespace ingrain::formats
