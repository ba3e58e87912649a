// config.json: the fields that all families share. Where each of them stands in files of transformers 4 and 5 is a
// table in docs/models.md.
#include "families/families.h"
#include "families/table.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::families {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxConfig = 4 << 20;

const Family& family_of(const ConfigFields& config) {
  std::string name = config.text("model_type").value_or("");
  if (const json* list = config.find("architectures");
      list && list->is_array() && !list->empty() && list->front().is_string())
    name = list->front().get<std::string>();
  for (const Family& family : all_families()) {
    const auto called = [&](std::string_view end) { return name == std::string(family.architecture).append(end); };
    if (name == family.model_type || called("ForCausalLM") || called("Model")) return family;
  }
  fail("{}: the architecture '{}' is not supported; supported are {}", config.source(), printable(name),
       known_families(&Family::architecture, "ForCausalLM"));
}

/// Features that change the numbers and that the engine does not have.
void refuse_unsupported(const ConfigFields& config) {
  const std::string& source = config.source();
  require(!config.find("quantization_config"),
          "{}: field 'quantization_config': quantized checkpoints are not supported; use the original or a GGUF file",
          source);
  const std::string activation = config.text("hidden_act").value_or("silu");
  require(activation == "silu" || activation == "swish", "{}: field 'hidden_act' is '{}'; only 'silu' is supported",
          source, printable(activation));
}

double yarn_attention_factor(const ConfigFields& rope, double factor) {
  if (const auto given = rope.number("attention_factor")) return *given;
  const auto scale = rope.number("mscale"), scale_all = rope.number("mscale_all_dim");
  if (!scale || !scale_all || factor <= 1) return default_yarn_attention_factor(factor);
  return (0.1 * *scale * std::log(factor) + 1) / (0.1 * *scale_all * std::log(factor) + 1);
}

/// The length before stretching stands beside the object (there it counts first, as in transformers) or in it.
double original_length(const ConfigFields& config, const ConfigFields& rope, const ModelConfig& c) {
  const char* const name = "original_max_position_embeddings";
  const auto beside = config.size(name), within = rope.size(name);
  return static_cast<double>(beside.value_or(within.value_or(c.trained_length)));
}

RopeScaling read_scaling(const ConfigFields& config, const ConfigFields& rope, const ModelConfig& c) {
  RopeScaling out;
  auto type = rope.text("rope_type");
  if (!type) type = rope.text("type");
  for (const char* field : {"short_factor", "long_factor", "mrope_section", "alpha"})
    require(!rope.find(field), "{}: field '{}' is not supported", rope.source(), rope.path(field));
  if (!type || *type == "default") return out;
  require(*type != "dynamic",
          "{}: RoPE scaling 'dynamic', whose angles change with the length of the text, is not supported; without the "
          "field '{}' the model works up to {} tokens",
          rope.source(), rope.path("rope_type"), c.trained_length);
  out.factor = rope.need_number("factor");
  if (*type == "linear") {
    out.kind = RopeScaling::Kind::linear;
  } else if (*type == "llama3") {
    out.kind = RopeScaling::Kind::llama3;
    out.original_max_position = original_length(config, rope, c);
    out.low_freq_factor = rope.need_number("low_freq_factor");
    out.high_freq_factor = rope.need_number("high_freq_factor");
    require(out.high_freq_factor > out.low_freq_factor, "{}: field '{}' must exceed low_freq_factor", rope.source(),
            rope.path("high_freq_factor"));
  } else if (*type == "yarn") {
    out.kind = RopeScaling::Kind::yarn;
    out.original_max_position = original_length(config, rope, c);
    out.beta_fast = rope.number("beta_fast").value_or(32);
    out.beta_slow = rope.number("beta_slow").value_or(1);
    out.attention_factor = yarn_attention_factor(rope, out.factor);
    require(rope.flag("truncate", true), "{}: field '{}': false is not supported", rope.source(),
            rope.path("truncate"));
  } else {
    fail("{}: field '{}' is '{}'; linear, llama3 and yarn are supported", rope.source(), rope.path("rope_type"),
         printable(*type));
  }
  return out;
}

void read_rope_object(const ConfigFields& config, const ConfigFields& rope, const ModelConfig& c, LayerSpec& layer) {
  layer.rope_theta = rope.number("rope_theta").value_or(layer.rope_theta);
  layer.rotated_share = rope.number("partial_rotary_factor").value_or(layer.rotated_share);
  layer.rope_scaling = read_scaling(config, rope, c);
}

/// RoPE's fields: `rope_theta` and `rope_scaling` side by side, or `rope_parameters` (transformers 5) with both, or
/// `rope_scaling` with both; an object for all layers, or one for each of `layer_types`.
void read_rope(const ConfigFields& config, const Family& family, ModelConfig& c) {
  c.rope_theta = config.number("rope_theta").value_or(family.rope_theta);
  c.rotated_share = config.number("partial_rotary_factor").value_or(1);
  auto rope = config.inner("rope_scaling");
  if (!rope) rope = config.inner("rope_parameters");
  if (!rope) return;
  const auto full = rope->inner("full_attention"), sliding = rope->inner("sliding_attention");
  if (!full && !sliding) return read_rope_object(config, *rope, c, c);
  const auto types = layer_types(config, c.num_layers);
  c.each_layer([&](LayerSpec& layer, int64_t i) {
    const bool slides = !types.empty() && types[static_cast<size_t>(i)] == "sliding_attention";
    const auto& own = slides ? sliding : full;
    require(own.has_value(), "{}: field '{}' is missing, which layer {} needs", config.source(),
            rope->path(slides ? "sliding_attention" : "full_attention"), i);
    read_rope_object(config, *own, c, layer);
  });
}

void read_sizes(const ConfigFields& config, const Family& family, ModelConfig& c) {
  constexpr int64_t kMaxLayers = 1024;
  c.vocab_size = config.need_size("vocab_size");
  c.hidden_size = config.need_size("hidden_size");
  c.num_layers = config.need_size("num_hidden_layers", kMaxLayers);
  c.num_heads = config.need_size("num_attention_heads");
  c.num_kv_heads = config.size("num_key_value_heads").value_or(c.num_heads);
  c.mlp_size = config.need_size("intermediate_size");
  c.trained_length = config.need_size("max_position_embeddings");
  const auto head_dim = config.size("head_dim");
  require(head_dim || family.head_dim > 0 || c.hidden_size % c.num_heads == 0,
          "{}: field 'head_dim' is missing, and hidden_size {} is not a multiple of num_attention_heads {}",
          config.source(), c.hidden_size, c.num_heads);
  c.head_dim = head_dim ? *head_dim : family.head_dim > 0 ? family.head_dim : c.hidden_size / c.num_heads;
}

}  // namespace

ModelConfig parse_hugging_face(std::string_view config_json, std::string_view generation_json,
                               const std::string& source) {
  const json parsed = parse_json(config_json, source);
  const ConfigFields config(parsed, source);
  const Family& family = family_of(config);
  refuse_unsupported(config);
  ModelConfig c;
  c.qk_norm = c.post_norm = c.fast_post_norm = false;
  c.rope_interleaved = false;
  read_sizes(config, family, c);
  c.rms_eps = config.number("rms_norm_eps").value_or(1e-6);
  c.tie_embeddings = config.flag("tie_word_embeddings", family.tied);
  read_rope(config, family, c);
  const auto bos = config.ids("bos_token_id");
  c.bos_id = bos.empty() ? -1 : bos.front();
  c.eos_ids = config.ids("eos_token_id");
  if (!generation_json.empty()) {
    const std::string where = source + " (generation_config.json)";
    const json generation = parse_json(generation_json, where);
    const auto eos = ConfigFields(generation, where).ids("eos_token_id");
    if (!eos.empty()) c.eos_ids = eos;
  }
  if (family.read_config) family.read_config(config, c);
  validate(c, source);
  return c;
}

ModelConfig read_hugging_face(const std::filesystem::path& folder) {
  const auto config = folder / "config.json", generation = folder / "generation_config.json";
  const bool has_generation = std::filesystem::exists(generation);
  return parse_hugging_face(read_file(config, kMaxConfig), has_generation ? read_file(generation, kMaxConfig) : "",
                            config.string());
}

}  // namespace ingrain::families
