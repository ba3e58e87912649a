// config.json: the fields that all families share. Where each of them stands in files of transformers 4 and 5 is a
// table in docs/models.md.
#include "families/families.h"
#include "families/table.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ingrain::families {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxConfig = 4 << 20;

/// transformers takes a Mistral whose layers differ for a Ministral, which is declared after it.
bool is_ministral(const Family& family, const Field& config) {
  return family.model_type == "mistral" && config.json().contains("layer_types");
}

const Family& family_of(const Field& config, bool of_text) {
  std::string name = config.string("model_type").value_or("");
  if (const auto list = config.find("architectures"); list && !of_text) {
    const auto names = list->elements();
    if (!names.empty()) name = names.front().string();
  }
  for (const Family& family : all_families()) {
    const auto called = [&](std::string_view end) { return name == std::string(family.architecture).append(end); };
    if (name != family.model_type && !called("ForCausalLM") && !called("Model")) continue;
    if (!is_ministral(family, config)) return family;
    name = "ministral";
  }
  require(!name.starts_with("Gemma4") && !name.starts_with("gemma4"),
          "{}: the architecture '{}' is not supported: Gemma 4's layers share keys and values, have heads of two sizes "
          "and embeddings of their own; Gemma 3 is supported",
          config.name(), printable(name));
  for (const std::string_view mixture : {"Qwen3_5Moe", "qwen3_5_moe", "Qwen3Next", "qwen3_next"})
    require(!name.starts_with(mixture),
            "{}: the architecture '{}' is not supported: it is a mixture of experts; dense Qwen3.5 is supported",
            config.name(), printable(name));
  fail("{}: the architecture '{}' is not supported; supported are {}", config.name(), printable(name),
       known_families(&Family::architecture, "ForCausalLM"));
}

/// A field for which transformers has a default where it is missing, and none where it is null.
void refuse_null(const Field& config, const char* name) {
  const auto at = config.json().find(name);
  if (at != config.json().end() && at->is_null())
    config.member(name, *at).refuse("is null, which means nothing: leave it out, or give a value");
}

/// Features that change the numbers and that the engine does not have.
void refuse_unsupported(const Field& config, const Family& family) {
  for (const char* name : {"tie_word_embeddings", family.activation}) refuse_null(config, name);
  if (const auto quantized = config.find("quantization_config"))
    quantized->refuse("is not supported: use the checkpoint before it was quantized, or a GGUF file");
  if (!config.boolean("is_causal").value_or(true))
    config.at("is_causal").refuse("is false, which is not supported: text is read from its beginning");
}

void read_activation(const Field& config, const char* name, ModelConfig& c) {
  const std::string activation = config.string(name).value_or("silu");
  const bool gelu = activation == "gelu_pytorch_tanh";
  if (!gelu && activation != "silu" && activation != "swish")
    config.at(name).refuse(fmt::format("is '{}'; 'silu' and 'gelu_pytorch_tanh' are supported", printable(activation)));
  if (gelu) c.change_layers([](LayerSpec& layer) { layer.activation = Activation::gelu_tanh; });
}

double yarn_attention_factor(const Field& rope, double factor) {
  if (const auto given = rope.positive("attention_factor")) return *given;
  const auto at_least_0 = [&](const char* name) { return rope.number(name, 0, 1e6).value_or(0); };
  const double scale = at_least_0("mscale"), scale_all = at_least_0("mscale_all_dim");  // 0 is as none
  if (scale == 0 || scale_all == 0 || factor <= 1) return default_yarn_attention_factor(factor);
  return (0.1 * scale * std::log(factor) + 1) / (0.1 * scale_all * std::log(factor) + 1);
}

/// An object of RoPE's fields, and what else tells how it is meant.
struct RopeFields {
  const Field &config, &rope;
  const Family& family;
};

/// The length before stretching stands beside the object (there it counts first, as in transformers) or in it; where
/// layers have objects of their own, only in them.
double original_length(const RopeFields& fields, const ModelConfig& c) {
  const char* const name = "original_max_position_embeddings";
  const auto beside = fields.family.rope_by_layer_type ? std::nullopt : size(fields.config, name);
  const auto within = size(fields.rope, name);
  return static_cast<double>(beside.value_or(within.value_or(c.trained_length)));
}

std::vector<double> divisors(const Field& rope, const char* name) {
  std::vector<double> out;
  for (const Field& one : rope.at(name).elements()) out.push_back(one.positive());
  return out;
}

/// Its stretching does not follow `factor`, which decides only the amplitude.
RopeScaling read_longrope(const RopeFields& fields, const ModelConfig& c) {
  const Field& rope = fields.rope;
  RopeScaling out;
  out.kind = RopeScaling::Kind::longrope;
  out.original_max_position = original_length(fields, c);
  out.short_factor = divisors(rope, "short_factor");
  out.long_factor = divisors(rope, "long_factor");
  const double factor =
      rope.positive("factor").value_or(static_cast<double>(c.trained_length) / out.original_max_position);
  out.attention_factor = rope.positive("attention_factor");
  if (!out.attention_factor) out.attention_factor = longrope_attention_factor(factor, out.original_max_position);
  return out;
}

RopeScaling read_scaling(const RopeFields& fields, const ModelConfig& c) {
  const Field& rope = fields.rope;
  RopeScaling out;
  auto named = rope.find("rope_type");
  if (!named) named = rope.find("type");
  if (named && fields.family.rope_by_layer_type && !rope.find("rope_type"))
    named->refuse(fmt::format("is not what {} models call it; call it 'rope_type'", fields.family.architecture));
  for (const char* name : {"mrope_section", "alpha"})
    if (const auto field = rope.find(name);
        field && !(fields.family.rope_of_places && std::string_view(name) != "alpha"))
      field->refuse("is not supported");
  const std::string type = named ? named->string() : "default";
  // Early files of Phi-3 call it otherwise.
  if (type == "longrope" || type == "su" || (type == "yarn" && rope.find("long_factor")))
    return read_longrope(fields, c);
  for (const char* name : {"short_factor", "long_factor"})
    if (const auto field = rope.find(name))
      field->refuse(fmt::format("needs the rope_type 'longrope', not '{}'", type));
  if (type == "default") return out;
  if (type == "dynamic")
    named->refuse(fmt::format(
        "is 'dynamic': angles that change with the length of the text are not supported; without the field the model "
        "works up to {} tokens",
        c.trained_length));
  if (type != "linear" && type != "llama3" && type != "yarn")
    named->refuse(fmt::format("is '{}'; linear, llama3, yarn and longrope are supported", printable(type)));
  out.factor = rope.at("factor").positive();
  if (type == "linear") {
    out.kind = RopeScaling::Kind::linear;
  } else if (type == "llama3") {
    out.kind = RopeScaling::Kind::llama3;
    out.original_max_position = original_length(fields, c);
    out.low_freq_factor = rope.at("low_freq_factor").positive();
    out.high_freq_factor = rope.at("high_freq_factor").positive();
    if (out.high_freq_factor <= out.low_freq_factor) rope.at("high_freq_factor").refuse("must exceed low_freq_factor");
  } else {
    out.kind = RopeScaling::Kind::yarn;
    out.original_max_position = original_length(fields, c);
    out.beta_fast = rope.positive("beta_fast").value_or(32);
    out.beta_slow = rope.positive("beta_slow").value_or(1);
    out.attention_factor = yarn_attention_factor(rope, out.factor);
    if (!rope.boolean("truncate").value_or(true)) rope.at("truncate").refuse("is false, which is not supported");
  }
  return out;
}

void read_rope_object(const RopeFields& fields, const ModelConfig& c, LayerSpec& layer) {
  const Field& rope = fields.rope;
  layer.rope_theta = rope.positive("rope_theta").value_or(layer.rope_theta);
  layer.rotated_share = rope.positive("partial_rotary_factor").value_or(layer.rotated_share);
  layer.rope_scaling = read_scaling(fields, c);
}

/// RoPE's fields: `rope_theta` and `rope_scaling` side by side, or `rope_parameters` (transformers 5) with both, or
/// `rope_scaling` with both; an object for all layers, or one for each of `layer_types`.
void read_rope(const Field& config, const Family& family, ModelConfig& c) {
  c.rope_theta = config.positive("rope_theta").value_or(family.rope_theta);
  c.rotated_share = config.positive("partial_rotary_factor").value_or(1);
  const auto rope = rope_fields(config);
  if (!rope || (!rope->find("rope_theta") && !has_rope_by_layer_type(config))) refuse_null(config, "rope_theta");
  if (!rope) return;
  const auto full = filled(*rope, "full_attention"), sliding = filled(*rope, "sliding_attention");
  if (!full && !sliding) {
    if (const auto flat = filled(config, "rope_parameters"); flat && family.rope_by_layer_type)
      flat->refuse("must hold an object for each type of layer: full_attention, sliding_attention");
    return read_rope_object({config, *rope, family}, c, c);
  }
  if (!family.rope_by_layer_type)
    rope->refuse(fmt::format("has an object for each type of layer; {} models have one for all", family.architecture));
  const std::vector<bool> slides_L = sliding_layers(config, family.slides, c.num_layers);
  c.each_layer([&](LayerSpec& layer, int64_t i) {
    const bool slides = !slides_L.empty() && slides_L[static_cast<size_t>(i)];
    const auto& own = slides ? sliding : full;
    if (!own) rope->missing(slides ? "sliding_attention" : "full_attention");
    read_rope_object({config, *own, family}, c, layer);
  });
}

/// A token's id or a list of them; empty where the file has none.
std::vector<int64_t> ids(const Field& fields, const char* name) {
  const auto field = fields.find(name);
  return field ? field->integers(0, kMaxSize) : std::vector<int64_t>();
}

void read_sizes(const Field& config, const Family& family, ModelConfig& c) {
  constexpr int64_t kMaxLayers = 1024;
  const auto need = [&](const char* name, int64_t most = kMaxSize) { return config.at(name).integer(1, most); };
  c.vocab_size = need("vocab_size");
  c.hidden_size = need("hidden_size");
  c.num_layers = need("num_hidden_layers", kMaxLayers);
  c.num_heads = need("num_attention_heads");
  c.num_kv_heads = size(config, "num_key_value_heads").value_or(c.num_heads);
  c.mlp_size = need("intermediate_size");
  c.trained_length = need("max_position_embeddings");
  const auto head_dim = size(config, "head_dim");
  require(head_dim || family.head_dim > 0 || c.hidden_size % c.num_heads == 0,
          "{}: field 'head_dim' is missing, and hidden_size {} is not a multiple of num_attention_heads {}",
          config.name(), c.hidden_size, c.num_heads);
  c.head_dim = head_dim ? *head_dim : family.head_dim > 0 ? family.head_dim : c.hidden_size / c.num_heads;
}

/// The part for text of a model for text and images, with what stands beside it alone.
json text_part(const json& whole) {
  json out = whole["text_config"];
  for (const char* name :
       {"bos_token_id", "eos_token_id", "tie_word_embeddings", "quantization_config", "max_position_embeddings"})
    if (whole.contains(name) && !out.contains(name)) out[name] = whole[name];
  return out;
}

}  // namespace

Description describe_hugging_face(std::string_view config_json, std::string_view generation_json,
                                  const std::string& source) {
  json parsed = parse_json(config_json, source);
  const bool of_text = parsed.is_object() && parsed.contains("text_config") && parsed["text_config"].is_object();
  if (of_text) parsed = text_part(parsed);
  const Family& family = family_of(Field(parsed, source), of_text);
  json filled_in = json::parse(family.defaults);
  if (parsed.contains("rope_parameters") && parsed["rope_parameters"].is_null()) parsed.erase("rope_parameters");
  filled_in.update(parsed);
  const Field config(filled_in, source);
  refuse_unsupported(config, family);
  ModelConfig c;
  c.qk_norm = c.post_norm = c.fast_post_norm = false;
  c.rope_interleaved = false;
  read_sizes(config, family, c);
  c.rms_eps = config.positive("rms_norm_eps").value_or(1e-6);
  c.tie_embeddings = config.boolean("tie_word_embeddings").value_or(family.tied);
  read_rope(config, family, c);
  c.change_layers([&](const LayerSpec& layer) {
    require(family.rotates_part || layer.rotated_share == 1,
            "{}: 'partial_rotary_factor' is {}; {} models rotate whole heads", source, layer.rotated_share,
            family.architecture);
  });
  const auto bos = ids(config, "bos_token_id");
  c.bos_id = bos.empty() ? -1 : bos.front();
  c.eos_ids = ids(config, "eos_token_id");
  if (!generation_json.empty()) {
    const std::string where = source + " (generation_config.json)";
    const json generation = parse_json(generation_json, where);
    const auto eos = ids(Field(generation, where), "eos_token_id");
    if (!eos.empty()) c.eos_ids = eos;
  }
  read_activation(config, family.activation, c);
  if (family.read_config) family.read_config(config, c);
  Description out{c, family.layout};
  out.layout.final_norm_times = std::exchange(out.config.logit_scale, 1);
  validate(out.config, source);
  return out;
}

Description read_hugging_face(const std::filesystem::path& folder) {
  const auto config = folder / "config.json", generation = folder / "generation_config.json";
  const bool has_generation = std::filesystem::exists(generation);
  return describe_hugging_face(read_file(config, kMaxConfig), has_generation ? read_file(generation, kMaxConfig) : "",
                               config.string());
}

}  // namespace ingrain::families
