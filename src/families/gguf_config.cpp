// describe_gguf: GGUF's metadata and tensors as a DecoderDescription.
#include "base/error.h"
#include "base/text.h"
#include "formats/gguf_ends.h"
#include "formats/gguf_quants.h"
#include "families/hf_config.h"

#include <algorithm>
#include <cmath>

namespace ingrain::formats {
namespace {

constexpr uint64_t kMaxGgufSize = uint64_t{1} << 31;

/// Metadata under the architecture's name: "llama.block_count" is size("block_count").
class Keys {
 public:
  Keys(const Gguf& file, std::string arch) : file_(file), arch_(std::move(arch)) {}

  std::string key(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }
  bool has(std::string_view name) const { return file_.has(key(name)); }
  const Gguf& file() const { return file_; }

  std::optional<int64_t> size(std::string_view name) const {
    const auto value = file_.get<uint64_t>(key(name));
    if (!value) return std::nullopt;
    require(*value >= 1 && *value <= kMaxGgufSize, "{}: metadata '{}' is {}; it must be from 1 to {}", file_.name(),
            key(name), *value, kMaxGgufSize);
    return static_cast<int64_t>(*value);
  }

  int64_t need_size(std::string_view name) const {
    file_.need<uint64_t>(key(name));  // says what is missing
    return *size(name);
  }

  std::optional<double> number(std::string_view name) const {
    const auto value = file_.get<double>(key(name));
    require(!value || (std::isfinite(*value) && *value > 0), "{}: metadata '{}' must be a positive number",
            file_.name(), key(name));
    return value;
  }

  std::optional<std::string_view> text(std::string_view name) const { return file_.get<std::string_view>(key(name)); }

 private:
  const Gguf& file_;
  std::string arch_;
};

void read_sizes(const Keys& keys, DecoderDescription& out) {
  const Gguf& file = keys.file();
  out.layers = keys.need_size("block_count");
  out.hidden_size = keys.need_size("embedding_length");
  out.intermediate_size = keys.need_size("feed_forward_length");
  out.heads = keys.need_size("attention.head_count");
  out.kv_heads = keys.size("attention.head_count_kv").value_or(out.heads);
  out.max_positions = keys.need_size("context_length");
  const auto& embedding = file.tensor("token_embd.weight");
  require(embedding.shape.size() == 2 && embedding.row_length() == static_cast<uint64_t>(out.hidden_size) &&
              embedding.rows() <= kMaxGgufSize,
          "{}: tensor 'token_embd.weight' does not have rows of {} numbers", file.name(), out.hidden_size);
  out.vocab_size = static_cast<int64_t>(embedding.rows());
  const auto head_dim = keys.size("attention.key_length");
  require(head_dim || out.hidden_size % out.heads == 0, "{}: metadata '{}' is missing and cannot be guessed",
          file.name(), keys.key("attention.key_length"));
  out.head_dim = head_dim.value_or(out.hidden_size / out.heads);
}

void refuse_unsupported(const Keys& keys, const DecoderDescription& d) {
  const std::string& name = keys.file().name();
  require(keys.size("attention.value_length").value_or(d.head_dim) == d.head_dim,
          "{}: metadata '{}': values of another size than keys are not supported", name,
          keys.key("attention.value_length"));
  require(keys.size("rope.dimension_count").value_or(d.head_dim) == d.head_dim,
          "{}: metadata '{}': models that rotate a part of each head are not supported", name,
          keys.key("rope.dimension_count"));
  const auto experts = keys.file().get<uint64_t>(keys.key("expert_count"));
  require(experts.value_or(0) == 0, "{}: metadata '{}': mixtures of experts are not supported", name,
          keys.key("expert_count"));
}

/// Llama 3's scaling comes as a tensor of divisors, one for each pair of a head.
std::vector<float> frequency_divisors(const Gguf& file, int64_t head_dim) {
  const GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (!tensor) return {};
  require(tensor->elements() == static_cast<uint64_t>(head_dim / 2),
          "{}: tensor 'rope_freqs.weight' has {} numbers; {} are needed", file.name(), tensor->elements(),
          head_dim / 2);
  std::vector<float> out(tensor->elements());
  dequantize_rows(*tensor, 0, tensor->rows(), out);
  const bool valid = std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x) && x > 0; });
  require(valid, "{}: tensor 'rope_freqs.weight' holds numbers that are not positive", file.name());
  return out;
}

RopeScaling read_rope_scaling(const Keys& keys, const DecoderDescription& d) {
  RopeScaling out;
  const std::string_view type =
      keys.text("rope.scaling.type").value_or(keys.has("rope.scale_linear") ? "linear" : "none");
  out.frequency_divisors = frequency_divisors(keys.file(), d.head_dim);
  if (type == "none") return out;
  const auto older = keys.number("rope.scale_linear");
  out.factor = keys.number("rope.scaling.factor").value_or(older.value_or(1));
  out.original_max_position = keys.size("rope.scaling.original_context_length").value_or(d.max_positions);
  if (type == "linear") {
    out.type = RopeScalingType::linear;
  } else if (type == "yarn") {
    out.type = RopeScalingType::yarn;
    out.attention_factor =
        keys.number("rope.scaling.attn_factor").value_or(1) * default_yarn_attention_factor(out.factor);
    out.beta_fast = keys.number("rope.scaling.yarn_beta_fast").value_or(32);
    out.beta_slow = keys.number("rope.scaling.yarn_beta_slow").value_or(1);
  } else {
    fail("{}: metadata '{}' is '{}'; none, linear and yarn are supported", keys.file().name(),
         keys.key("rope.scaling.type"), printable(type));
  }
  require(out.frequency_divisors.empty(), "{}: metadata '{}' and tensor 'rope_freqs.weight' together are not supported",
          keys.file().name(), keys.key("rope.scaling.type"));
  return out;
}

std::vector<int64_t> token_ids(const Gguf& file, std::initializer_list<std::string_view> names) {
  std::vector<int64_t> out;
  for (const std::string_view name : names) {
    const auto id = file.get<uint64_t>(fmt::format("tokenizer.ggml.{}_token_id", name));
    const bool given = id && *id <= kMaxGgufSize;
    if (given && std::find(out.begin(), out.end(), static_cast<int64_t>(*id)) == out.end())
      out.push_back(static_cast<int64_t>(*id));
  }
  return out;
}

}  // namespace

DecoderDescription describe_gguf(const Gguf& file) {
  DecoderDescription out;
  out.arch = file.need<std::string_view>("general.architecture");
  require(out.arch == "llama" || out.arch == "qwen2" || out.arch == "qwen3",
          "{}: general.architecture is '{}'; llama (SmolLM2 is one), qwen2 and qwen3 are supported", file.name(),
          printable(out.arch));
  const Keys keys(file, out.arch);
  read_sizes(keys, out);
  refuse_unsupported(keys, out);
  out.rms_eps = keys.number("attention.layer_norm_rms_epsilon").value_or(1e-6);
  out.rope_theta = keys.number("rope.freq_base").value_or(10000);
  out.rope_interleaved = out.arch == "llama";
  out.rope_scaling = read_rope_scaling(keys, out);
  const auto has = [&](std::string_view name) { return file.find_tensor(name) != nullptr; };
  out.qk_norm = has("blk.0.attn_q_norm.weight");
  out.qkv_bias = has("blk.0.attn_q.bias");
  out.o_bias = has("blk.0.attn_output.bias");
  out.mlp_bias = has("blk.0.ffn_gate.bias");
  out.tie_embeddings = !has("output.weight");
  out.bos_ids = token_ids(file, {"bos"});
  out.eos_ids = gguf_end_ids(file);
  out.sliding_window = keys.size("attention.sliding_window");
  check_description(out, file.name());
  return out;
}

}  // namespace ingrain::formats
