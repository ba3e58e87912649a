#include "model/network.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/checksum.h"
#include "store/assemble_weights.h"
#include "store/stored_weights.h"
#include "store/tensor_io.h"
#include "ops/simd/processor.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<const char*, at::ScalarType> kComputeTypes[] = {
    {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"fp64", at::kDouble}};

struct NameRule {
  const char *ours, *stored;
};
/// Parameters that are one tensor in the file, in the style of the Llama family.
constexpr NameRule kBlockNames[] = {{"attn_norm", "input_layernorm"},
                                    {"q_norm", "self_attn.q_norm"},
                                    {"k_norm", "self_attn.k_norm"},
                                    {"wo", "self_attn.o_proj"},
                                    {"attn_post_norm", "self_attn_post_norm"},
                                    {"fast_norm", "fast_mlp_norm"},
                                    {"fast.w2", "fast_mlp.down_proj"},
                                    {"fast_post_norm", "fast_mlp_post_norm"},
                                    {"mlp_norm", "post_attention_layernorm"},
                                    {"mlp.w2", "mlp.down_proj"},
                                    {"mlp_post_norm", "mlp_post_norm"}};

}  // namespace

std::vector<StoredPart> stored_parts(const ModelConfig& c, const std::string& parameter) {
  if (parameter == "embedding") return {{"model.embed_tokens.weight", 0, c.vocab_size}};
  if (parameter == "final_norm") return {{"model.norm.weight", 0, c.hidden_size}};
  if (parameter == "head") return {{"lm_head.weight", 0, c.vocab_size}};
  if (parameter == "inner_rate") return {{"model.inner_rate", 0, c.suffix_len}};
  const size_t dot = parameter.find('.', 7);  // "blocks." N "." rest
  const std::string layer = "model.layers." + parameter.substr(7, dot - 7) + ".", rest = parameter.substr(dot + 1);
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  if (rest == "wqkv" || rest == "bqkv") {
    const std::string end = rest == "wqkv" ? "_proj.weight" : "_proj.bias", at = layer + "self_attn.";
    return {{at + "q" + end, 0, q}, {at + "k" + end, q, kv}, {at + "v" + end, q + kv, kv}};
  }
  if (rest == "mlp.w13" || rest == "fast.w13") {
    const bool fast = rest == "fast.w13";
    const std::string at = layer + (fast ? "fast_mlp." : "mlp.");
    const int64_t F = fast ? c.fast_mlp_size : c.mlp_size;
    return {{at + "gate_proj.weight", 0, F}, {at + "up_proj.weight", F, F}};
  }
  for (const auto& [ours, stored] : kBlockNames)
    if (rest == ours) return {{layer + stored + ".weight", 0, -1}};  // -1: all rows
  fail("parameter '{}' has no name in model.safetensors", parameter);
}

at::ScalarType native_compute_type(at::Device device) {
  return device.is_cuda() || ops::has_native_bf16() ? at::kBFloat16 : at::kFloat;
}

at::ScalarType parse_compute_type(std::string_view name, at::Device device, std::string_view option) {
  if (name == "auto") return native_compute_type(device);
  for (const auto& [known, type] : kComputeTypes)
    if (name == known) return type;
  fail_usage("{} '{}' is not known; choose auto, fp32, bf16 or fp64", option, printable(name));
}

std::string compute_type_name(at::ScalarType type) {
  for (const auto& [name, known] : kComputeTypes)
    if (type == known) return name;
  fail("models do not compute in {}", c10::toString(type));
}

std::string fingerprint_of(const formats::SafetensorsFolder& stored) {
  Checksum sum;
  for (const auto& [name, location] : stored.tensors()) {
    sum.update(name.data(), name.size());
    const auto bytes = location.file->bytes(name);
    sum.update(bytes.data(), bytes.size());
  }
  return fmt::format("{:016x}", sum.value());
}

Network load_model(const fs::path& path, at::ScalarType compute, at::Device device) {
  Network model;
  const StoredWeights stored(path);
  model.config = stored.config();
  model.fingerprint = stored.fingerprint();
  const Weights weights =
      assemble_weights(model.config, compute, path, [&](const std::string& name) { return stored.read(name); });
  model.weights = convert(model.config, weights, compute, device);
  return model;
}

void save_model(const fs::path& folder, const ModelConfig& config, const Weights& weights, at::ScalarType store) {
  fs::create_directories(folder);
  TensorWriter writer;
  Weights source = weights;
  visit_parameters(config, source, [&](const std::string& parameter, Tensor& tensor, ParameterKind) {
    for (const StoredPart& part : stored_parts(config, parameter))
      writer.add(part.name, (part.rows < 0 ? tensor : tensor.narrow(0, part.first_row, part.rows)).to(store));
  });
  writer.metadata("format", "ingrain");
  writer.write(folder / "model.safetensors");
  write_file(folder / "config.json", to_json(config).dump(2) + "\n");
}

}  // namespace ingrain
