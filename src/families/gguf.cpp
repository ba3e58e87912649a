// GGUF's metadata and tensors: what all families share.
#include "families/families.h"
#include "families/table.h"

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf_ends.h"
#include "formats/gguf_quants.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <numbers>

namespace ingrain::families {
namespace {

using formats::Gguf;

const Family& gguf_family(const Gguf& file) {
  const auto parts = file.get<uint64_t>("split.count").value_or(1);
  require(parts <= 1, "{}: is one of {} parts of a split GGUF file, and holds not all of it", file.name(), parts);
  const auto arch = file.need<std::string_view>("general.architecture");
  for (const Family& family : all_families())
    if (!family.gguf.empty() && arch == family.gguf) return family;
  fail("{}: general.architecture is '{}'; supported are {}", file.name(), printable(arch),
       known_families(&Family::gguf, ""));
}

void read_gguf_sizes(const GgufKeys& keys, ModelConfig& c) {
  constexpr uint64_t kMaxLayers = 1024;
  const Gguf& file = keys.file();
  c.num_layers = keys.need_size("block_count", kMaxLayers);
  c.hidden_size = keys.need_size("embedding_length");
  c.mlp_size = keys.need_size("feed_forward_length");
  c.num_heads = keys.need_size("attention.head_count");
  c.num_kv_heads = keys.size("attention.head_count_kv").value_or(c.num_heads);
  c.trained_length = keys.need_size("context_length");
  const auto& embedding = file.tensor("token_embd.weight");
  require(embedding.shape.size() == 2 && embedding.row_length() == static_cast<uint64_t>(c.hidden_size) &&
              embedding.rows() <= GgufKeys::kMaxSize,
          "{}: tensor 'token_embd.weight' does not have rows of {} numbers", file.name(), c.hidden_size);
  c.vocab_size = static_cast<int64_t>(embedding.rows());
  const auto head_dim = keys.size("attention.key_length");
  require(head_dim || c.hidden_size % c.num_heads == 0, "{}: metadata '{}' is missing and cannot be guessed",
          file.name(), keys.key("attention.key_length"));
  c.head_dim = head_dim.value_or(c.hidden_size / c.num_heads);
}

void refuse_in_gguf(const GgufKeys& keys, const ModelConfig& c) {
  const std::string& name = keys.file().name();
  require(keys.size("attention.value_length").value_or(c.head_dim) == c.head_dim,
          "{}: metadata '{}': values of another size than keys are not supported", name,
          keys.key("attention.value_length"));
  require(keys.file().get<bool>(keys.key("attention.causal")).value_or(true),
          "{}: metadata '{}' is false: a model that looks ahead, an encoder, reads and writes nothing here", name,
          keys.key("attention.causal"));
  const auto experts = keys.file().get<uint64_t>(keys.key("expert_count"));
  require(experts.value_or(0) == 0, "{}: metadata '{}': mixtures of experts are not supported", name,
          keys.key("expert_count"));
}

/// Llama 3's scaling comes as a tensor of divisors of the frequencies, one for each pair of a head.
std::vector<float> frequency_divisors(const Gguf& file, int64_t head_dim) {
  const formats::GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (!tensor) return {};
  require(tensor->elements() == static_cast<uint64_t>(head_dim / 2),
          "{}: tensor 'rope_freqs.weight' has {} numbers; {} are needed", file.name(), tensor->elements(),
          head_dim / 2);
  std::vector<float> out(tensor->elements());
  formats::dequantize_rows(*tensor, 0, tensor->rows(), out);
  const bool valid = std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x) && x > 0; });
  require(valid, "{}: tensor 'rope_freqs.weight' holds numbers that are not positive", file.name());
  return out;
}

/// They were computed from four numbers of which all released models share three. Those are assumed, the fourth - the
/// factor - is the greatest divisor, and the result is compared.
RopeScaling llama3_scaling(const ModelConfig& c, const std::vector<float>& divisors, const std::string& source) {
  RopeScaling out;
  out.kind = RopeScaling::Kind::llama3;
  out.factor = *std::max_element(divisors.begin(), divisors.end());
  out.original_max_position = 8192;
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double f = std::pow(c.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
    const double turns = out.original_max_position * f / (2 * std::numbers::pi);
    const double keep =
        std::clamp((turns - out.low_freq_factor) / (out.high_freq_factor - out.low_freq_factor), 0.0, 1.0);
    const double expected = 1 / ((1 - keep) / out.factor + keep);
    require(std::abs(divisors[i] - expected) <= 1e-4 * expected,
            "{}: tensor 'rope_freqs.weight' divides frequency {} by {}; Llama 3's scaling would divide it by {}, and "
            "no other is supported: import the model's Hugging Face folder instead",
            source, i, divisors[i], expected);
  }
  return out;
}

std::vector<double> longrope_divisors(const Gguf& file, const char* name) {
  const formats::GgufTensor& tensor = file.tensor(name);
  require(tensor.rows() == 1 && tensor.elements() <= 4096, "{}: tensor '{}' is not a row of numbers", file.name(),
          name);
  std::vector<float> values(tensor.elements());
  formats::dequantize_rows(tensor, 0, 1, values);
  return {values.begin(), values.end()};
}

RopeScaling gguf_longrope(const GgufKeys& keys, const ModelConfig& c) {
  RopeScaling out;
  out.kind = RopeScaling::Kind::longrope;
  const int64_t length = keys.size("rope.scaling.original_context_length").value_or(c.trained_length);
  out.original_max_position = static_cast<double>(length);
  out.short_factor = longrope_divisors(keys.file(), "rope_factors_short.weight");
  out.long_factor = longrope_divisors(keys.file(), "rope_factors_long.weight");
  out.attention_factor = keys.number("rope.scaling.attn_factor").value_or(1);
  return out;
}

RopeScaling read_gguf_scaling(const GgufKeys& keys, const ModelConfig& c) {
  if (keys.file().find_tensor("rope_factors_long.weight")) return gguf_longrope(keys, c);
  const std::string& source = keys.file().name();
  const bool has_factor = keys.has("rope.scaling.factor") || keys.has("rope.scale_linear");
  const std::string_view type = keys.text("rope.scaling.type").value_or(has_factor ? "linear" : "none");
  const std::vector<float> divisors = frequency_divisors(keys.file(), c.head_dim);
  RopeScaling out;
  if (type == "none") return divisors.empty() ? out : llama3_scaling(c, divisors, source);
  require(divisors.empty(), "{}: metadata '{}' and tensor 'rope_freqs.weight' together are not supported", source,
          keys.key("rope.scaling.type"));
  // 0 says as much as nothing, and the older key counts where the newer one is missing, as in llama.cpp.
  const char* const factor_key = keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const bool none = keys.file().get<double>(keys.key(factor_key)).value_or(0) == 0;
  out.factor = none ? 1 : *keys.number(factor_key);
  if (type == "linear") {
    out.kind = RopeScaling::Kind::linear;
  } else if (type == "yarn") {
    out.kind = RopeScaling::Kind::yarn;
    const int64_t length = keys.size("rope.scaling.original_context_length").value_or(c.trained_length);
    out.original_max_position = static_cast<double>(length);
    // The multiplier is mscale_all_dim of Hugging Face's files, beside an mscale of 1.
    const double log_multiplier = keys.number("rope.scaling.yarn_log_multiplier").value_or(0);
    out.attention_factor = keys.number("rope.scaling.attn_factor").value_or(1) *
                           default_yarn_attention_factor(out.factor) /
                           (log_multiplier > 0 ? 0.1 * log_multiplier * std::log(out.factor) + 1 : 1);
    out.beta_fast = keys.number("rope.scaling.yarn_beta_fast").value_or(32);
    out.beta_slow = keys.number("rope.scaling.yarn_beta_slow").value_or(1);
    for (const char* field : {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"})
      require(!keys.has(field), "{}: metadata '{}' is not supported", source, keys.key(field));
  } else {
    fail("{}: metadata '{}' is '{}'; none, linear and yarn are supported", source, keys.key("rope.scaling.type"),
         printable(type));
  }
  return out;
}

int64_t bos_id(const Gguf& file) {
  const auto id = file.get<uint64_t>("tokenizer.ggml.bos_token_id");
  return id && *id <= GgufKeys::kMaxSize ? static_cast<int64_t>(*id) : -1;  // larger: "none" of some converters
}

}  // namespace

Description read_gguf(const Gguf& file) {
  const Family& family = gguf_family(file);
  const GgufKeys keys(file, std::string(family.gguf));
  ModelConfig c;
  c.post_norm = c.fast_post_norm = false;
  read_gguf_sizes(keys, c);
  refuse_in_gguf(keys, c);
  c.rms_eps = keys.number("attention.layer_norm_rms_epsilon").value_or(1e-6);
  c.rope_theta = keys.number("rope.freq_base").value_or(10000);
  c.rope_interleaved = family.pairs_in_gguf;
  if (const auto rotated = keys.size("rope.dimension_count")) {
    require(family.rotates_part || *rotated == c.head_dim,
            "{}: metadata '{}' is {}: {} models that rotate a part of each head are not supported", file.name(),
            keys.key("rope.dimension_count"), *rotated, family.gguf);
    c.rotated_share = static_cast<double>(*rotated) / static_cast<double>(c.head_dim);
  }
  c.rope_scaling = read_gguf_scaling(keys, c);
  const auto has = [&](std::string_view name) { return file.find_tensor(name) != nullptr; };
  c.qk_norm = has("blk.0.attn_q_norm.weight");
  c.qkv_bias = has("blk.0.attn_q.bias");
  c.o_bias = has("blk.0.attn_output.bias");
  c.mlp_bias = has("blk.0.ffn_gate.bias");
  c.tie_embeddings = !has("output.weight");
  c.bos_id = bos_id(file);
  c.eos_ids = formats::gguf_end_ids(file);
  if (family.read_gguf) family.read_gguf(keys, c);
  Description out{c};
  out.layout.fused = has("blk.0.attn_qkv.weight");
  out.layout.final_norm_times = std::exchange(out.config.logit_scale, 1);
  validate(out.config, file.name());
  return out;
}

}  // namespace ingrain::families
