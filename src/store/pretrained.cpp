#include "store/pretrained.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/json.h"
#include "base/checksum.h"
#include "formats/gguf_quants.h"
#include "families/families.h"
#include "store/model_files.h"
#include "store/tensor_io.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char *kOurEmbedding = "model.embed_tokens.weight", *kOurHead = "lm_head.weight";

/// Tensors have the same names as ours, perhaps without "model." (a base model saved by itself), and a shared matrix
/// may lie under one of its two names.
class HuggingFaceSource : public DecoderSource {
 public:
  explicit HuggingFaceSource(const fs::path& folder) : stored_(folder) {
    config_ = families::read_hugging_face(folder);
    bare_ =
        !stored_.contains(kOurEmbedding) && stored_.contains(std::string_view(kOurEmbedding).substr(kPrefix.size()));
    settle_head();
  }

  Tensor read(const std::string& name) const override { return read_tensor(stored_, stored_name(name)); }

  at::ScalarType type() const override {
    std::optional<at::ScalarType> common;
    bool several = false;
    for_each_parameter(config_, [&](const Parameter& parameter, int64_t layer) {
      for (const StoredPart& part : stored_parts(parameter, config_, layer)) {
        const at::ScalarType type = scalar_type(stored_.at(stored_name(part.name)).entry->dtype, part.name);
        several = several || common.value_or(type) != type;
        common = type;
      }
    });
    return several ? at::kFloat : common.value_or(at::kFloat);
  }

  std::string fingerprint() const override { return fingerprint_of(stored_); }

 private:
  static constexpr std::string_view kPrefix = "model.";

  std::string stored_name(const std::string& ours) const {
    if (ours == kOurEmbedding && only_head_) return kOurHead;
    return bare_ && ours.starts_with(kPrefix) ? ours.substr(kPrefix.size()) : ours;
  }

  void settle_head() {
    const std::string embedding = stored_name(kOurEmbedding);
    const bool has_head = stored_.contains(kOurHead), has_embedding = stored_.contains(embedding);
    if (!config_.tie_embeddings) {
      require(has_head || !has_embedding,
              "{}: has no tensor '{}', and 'tie_word_embeddings' in its config.json is false: a model without a head "
              "cannot predict tokens; take the one with it (\"...ForCausalLM\")",
              stored_.path().string(), kOurHead);
    } else if (has_head && !has_embedding) {
      only_head_ = true;
    } else if (has_head && !same_tensor(embedding, kOurHead)) {
      config_.tie_embeddings = false;
      notes_.push_back(fmt::format("'tie_word_embeddings' is true, but {} holds a '{}' of its own, which is used",
                                   stored_.path().string(), kOurHead));
    }
  }

  bool same_tensor(const std::string& a, const std::string& b) const {
    const formats::TensorEntry &x = *stored_.at(a).entry, &y = *stored_.at(b).entry;
    return x.dtype == y.dtype && x.shape == y.shape && std::ranges::equal(stored_.bytes(a), stored_.bytes(b));
  }

  formats::SafetensorsFolder stored_;
  bool bare_ = false, only_head_ = false;
};

class GgufSource : public DecoderSource {
 public:
  explicit GgufSource(const fs::path& path) : file_(path) {
    config_ = families::read_gguf(file_);
    for_each_parameter(config_, [&](const Parameter& parameter, int64_t layer) {
      for (const StoredPart& part : stored_parts(parameter, config_, layer)) names_[part.name] = part.gguf;
    });
  }

  Tensor read(const std::string& name) const override {
    const formats::GgufTensor& tensor = tensor_of(name);
    const std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end());
    const Tensor out = at::empty(shape, at::kFloat);
    float* values = out.data_ptr<float>();
    const auto row = static_cast<size_t>(tensor.row_length());
    constexpr int64_t kRows = 64;  // for one thread at least
    at::parallel_for(0, static_cast<int64_t>(tensor.rows()), kRows, [&](int64_t begin, int64_t end) {
      const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
      formats::dequantize_rows(tensor, first, count, {values + first * row, count * row});
    });
    forget_pages(tensor.bytes);
    return out;
  }

  std::optional<StoredBlocks> blocks(const std::string& name) const override {
    const formats::GgufTensor& tensor = tensor_of(name);
    if (tensor.shape.size() != 2) return std::nullopt;
    return StoredBlocks{static_cast<uint32_t>(tensor.type), static_cast<int64_t>(tensor.shape[0]),
                        static_cast<int64_t>(tensor.shape[1]), tensor.bytes};
  }

  void forget(const StoredBlocks& blocks) const override { forget_pages(blocks.bytes); }

  at::ScalarType type() const override { return at::kFloat; }

  std::string fingerprint() const override {
    Checksum sum;
    for (const formats::GgufTensor& tensor : file_.tensors()) {
      sum.update(tensor.name.data(), tensor.name.size());
      sum.update(tensor.bytes.data(), tensor.bytes.size());
      forget_pages(tensor.bytes);
    }
    return fmt::format("{:016x}", sum.value());
  }

 private:
  const formats::GgufTensor& tensor_of(const std::string& name) const {
    const auto known = names_.find(name);
    require(known != names_.end() && !known->second.empty(), "tensor '{}' has no name in GGUF files", name);
    return file_.tensor(known->second);
  }

  formats::Gguf file_;
  std::map<std::string, std::string> names_;  // ours -> GGUF's
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
