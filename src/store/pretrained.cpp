#include "store/pretrained.h"

#include "base/error.h"
#include "base/json.h"
#include "base/checksum.h"
#include "formats/gguf_quants.h"
#include "families/decoder_config.h"
#include "model/network.h"
#include "store/tensor_io.h"

#include <ATen/Parallel.h>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

/// Tensors have the same names as ours; only the configuration differs.
class HuggingFaceSource : public DecoderSource {
 public:
  explicit HuggingFaceSource(const fs::path& folder) : stored_(folder) {
    config_ = decoder_config(formats::read_hf_config(folder), (folder / "config.json").string());
  }

  Tensor read(const std::string& name) const override { return read_tensor(stored_, name); }

  at::ScalarType type() const override {
    std::optional<at::ScalarType> common;
    for (const auto& [name, location] : stored_.tensors()) {
      const at::ScalarType type = scalar_type(location.entry->dtype, name);
      if (common.value_or(type) != type) return at::kFloat;
      common = type;
    }
    return common.value_or(at::kFloat);
  }

  std::string fingerprint() const override { return fingerprint_of(stored_); }

 private:
  formats::SafetensorsFolder stored_;
};

struct NameRule {
  std::string_view ours, gguf;
};
constexpr NameRule kModelNames[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                                    {"model.norm.weight", "output_norm.weight"},
                                    {"lm_head.weight", "output.weight"}};
/// After "model.layers.N." and "blk.N."; ".weight" or ".bias" follows.
constexpr NameRule kBlockNames[] = {{"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
                                    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
                                    {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
                                    {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
                                    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
                                    {"mlp.down_proj", "ffn_down"}};

std::string gguf_name(std::string_view ours) {
  for (const auto& [name, gguf] : kModelNames)
    if (ours == name) return std::string(gguf);
  constexpr std::string_view kLayers = "model.layers.";
  if (ours.starts_with(kLayers)) {
    const std::string_view rest = ours.substr(kLayers.size());
    const size_t first = rest.find('.'), last = rest.rfind('.');
    const std::string_view part = rest.substr(first + 1, last - first - 1);
    for (const auto& [name, gguf] : kBlockNames)
      if (part == name) return fmt::format("blk.{}.{}{}", rest.substr(0, first), gguf, rest.substr(last));
  }
  fail("tensor '{}' has no name in GGUF files", ours);
}

class GgufSource : public DecoderSource {
 public:
  explicit GgufSource(const fs::path& path) : file_(path) {
    config_ = decoder_config(formats::describe_gguf(file_), file_.name());
  }

  Tensor read(const std::string& name) const override {
    const formats::GgufTensor& tensor = file_.tensor(gguf_name(name));
    const std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end());
    const Tensor out = at::empty(shape, at::kFloat);
    float* values = out.data_ptr<float>();
    const auto row = static_cast<size_t>(tensor.row_length());
    constexpr int64_t kRows = 64;  // for one thread at least
    at::parallel_for(0, static_cast<int64_t>(tensor.rows()), kRows, [&](int64_t begin, int64_t end) {
      const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
      formats::dequantize_rows(tensor, first, count, {values + first * row, count * row});
    });
    return out;
  }

  at::ScalarType type() const override { return at::kFloat; }

  std::string fingerprint() const override {
    Checksum sum;
    for (const formats::GgufTensor& tensor : file_.tensors()) {
      sum.update(tensor.name.data(), tensor.name.size());
      sum.update(tensor.bytes.data(), tensor.bytes.size());
    }
    return fmt::format("{:016x}", sum.value());
  }

 private:
  formats::Gguf file_;
};

bool has_hugging_face_config(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  if (!fs::is_regular_file(file)) return false;
  const nlohmann::json json = read_json(file, 16 << 20);
  return json.is_object() &&
         (json.contains("architectures") || json.value("model_type", nlohmann::json("ingrain")) != "ingrain");
}

}  // namespace

std::unique_ptr<DecoderSource> open_decoder(const fs::path& path) {
  if (fs::is_directory(path) && fs::is_regular_file(path / kGgufInFolder)) return open_decoder(path / kGgufInFolder);
  if (fs::is_directory(path))
    return has_hugging_face_config(path) ? std::make_unique<HuggingFaceSource>(path) : nullptr;
  return formats::is_gguf(path) ? std::make_unique<GgufSource>(path) : nullptr;
}

}  // namespace ingrain
