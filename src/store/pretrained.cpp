#include "store/pretrained.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/json.h"
#include "base/checksum.h"
#include "formats/gguf_quants.h"
#include "families/families.h"
#include "store/foreign_layout.h"
#include "families/gguf_description.h"
#include "store/model_files.h"
#include "store/tensor_io.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char *kOurEmbedding = "model.embed_tokens.weight", *kOurHead = "lm_head.weight";

/// The model's parts by our names.
class ForeignParts {
 public:
  void find(const ModelConfig& config, const families::TensorLayout& layout, FileKind kind) {
    for (ForeignPart& part : foreign_parts(config, layout, kind)) {
      const std::string name = part.part.name;
      of_name_.emplace(name, std::move(part));
    }
  }
  const ForeignPart* of(const std::string& name) const {
    const auto known = of_name_.find(name);
    return known == of_name_.end() ? nullptr : &known->second;
  }
  const std::map<std::string, ForeignPart>& all() const { return of_name_; }

 private:
  std::map<std::string, ForeignPart> of_name_;
};

/// Tensors have the same names as ours but for the family's own, each perhaps without "model." (of a base model saved
/// by itself) or with one more (of a module that holds the model), or with "language_model" before or behind it (the
/// part for text of a model for text and images), and a shared matrix may lie under one of its two names.
class HuggingFaceSource : public DecoderSource {
 public:
  explicit HuggingFaceSource(const fs::path& folder) : stored_(folder) {
    auto [config, layout] = families::read_hugging_face(folder);
    config_ = std::move(config);
    layout_ = std::move(layout);
    settle_head();
    parts_.find(config_, layout_, FileKind::hugging_face);
  }

  Tensor read(const std::string& name) const override {
    const ForeignPart* part = parts_.of(name);
    if (!part) return read_tensor(stored_, stored_name(name));
    Tensor whole = read_tensor(stored_, stored_name(part->name));
    if (part->of_whole_parameter) {
      require(whole.dim() > 0 && whole.size(0) == shape_of(*part->parameter, config_)[0],
              "{}: tensor '{}' has shape [{}]; {} rows are needed", stored_.path().string(), stored_name(part->name),
              fmt::join(whole.sizes(), ", "), shape_of(*part->parameter, config_)[0]);
      whole = whole.narrow(0, part->part.first_row, part->part.rows).clone();
    }
    return from_foreign(config_, layout_, *part, whole);
  }

  at::ScalarType type() const override {
    std::optional<at::ScalarType> common;
    bool several = false;
    for (const auto& [name, part] : parts_.all()) {
      const at::ScalarType type = scalar_type(stored_.at(stored_name(part.name)).entry->dtype, name);
      several = several || common.value_or(type) != type;
      common = type;
    }
    return several ? at::kFloat : common.value_or(at::kFloat);
  }

  std::string fingerprint() const override { return fingerprint_of(stored_); }

 private:
  /// The tensor's name in the file: the first there of those that transformers takes for it.
  std::string stored_name(const std::string& name) const {
    constexpr std::string_view kPrefix = "model.";
    if (name == kOurEmbedding && only_head_) return stored_name(kOurHead);
    const bool of_base = name.starts_with(kPrefix);
    const std::string rest = of_base ? name.substr(kPrefix.size()) : name;
    const auto found = [&](std::initializer_list<const char*> prefixes) {
      for (const char* prefix : prefixes)
        if (stored_.contains(prefix + rest)) return prefix + rest;
      return name;
    };
    if (!of_base) return found({"", "model.", "language_model."});
    return found({"model.", "", "model.model.", "model.language_model.", "language_model.model.", "language_model.",
                  "model.model.language_model.", "model.language_model.model."});
  }

  void settle_head() {
    const std::string embedding = stored_name(kOurEmbedding), head = stored_name(kOurHead);
    const bool has_head = stored_.contains(head), has_embedding = stored_.contains(embedding);
    if (!config_.tie_embeddings) {
      require(has_head || !has_embedding,
              "{}: has no tensor '{}', and its config.json does not say that 'tie_word_embeddings' is true: a model "
              "without a head cannot predict tokens; take the one with it (\"...ForCausalLM\")",
              stored_.path().string(), kOurHead);
    } else if (has_head && !has_embedding) {
      only_head_ = true;
    } else if (has_head && !same_tensor(embedding, head)) {
      config_.tie_embeddings = false;
      notes_.push_back(
          fmt::format("the embedding is to be the head, too ('tie_word_embeddings'), but {} holds a '{}' of its own, "
                      "which is used",
                      stored_.path().string(), head));
    }
  }

  bool same_tensor(const std::string& a, const std::string& b) const {
    const formats::TensorEntry &x = *stored_.at(a).entry, &y = *stored_.at(b).entry;
    return x.dtype == y.dtype && x.shape == y.shape && std::ranges::equal(stored_.bytes(a), stored_.bytes(b));
  }

  formats::SafetensorsFolder stored_;
  ForeignParts parts_;
  bool only_head_ = false;
};

/// config.json's text in a file of ours.
ModelConfig own_config(const formats::Gguf& file) {
  const std::string where = fmt::format("{}: metadata '{}'", file.name(), families::kOwnConfig);
  const auto json = parse_json(file.need<std::string_view>(families::kOwnConfig), where);
  require(json.is_object(), "{} is not a JSON object; the file is damaged", where);
  return parse_config(json, where);
}

class GgufSource : public DecoderSource {
 public:
  explicit GgufSource(const fs::path& path) : file_(path) {
    if (file_.get<std::string_view>("general.architecture") == families::kOwnArchitecture) {
      own_ = true;
      config_ = own_config(file_);
      parts_.find(config_, {}, FileKind::hugging_face);  // whose names are ours
      return;
    }
    auto [config, layout] = families::read_gguf(file_);
    config_ = std::move(config);
    layout_ = std::move(layout);
    parts_.find(config_, layout_, FileKind::gguf);
  }

  Tensor read(const std::string& name) const override {
    const ForeignPart* part = parts_.of(name);
    require(part && !part->name.empty(), "tensor '{}' has no name in GGUF files", name);
    const formats::GgufTensor& tensor = file_.tensor(part->name);
    std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end());
    size_t before = 0;
    if (part->of_whole_parameter) {
      require(shape.size() == 2 && shape[0] == shape_of(*part->parameter, config_)[0],
              "{}: tensor '{}' does not have {} rows", file_.name(), part->name,
              shape_of(*part->parameter, config_)[0]);
      before = static_cast<size_t>(part->part.first_row);
      shape[0] = part->part.rows;
    }
    const Tensor out = at::empty(shape, at::kFloat);
    float* values = out.data_ptr<float>();
    const auto row = static_cast<size_t>(tensor.row_length());
    constexpr int64_t kRows = 64;  // for one thread at least
    const int64_t rows = part->of_whole_parameter ? part->part.rows : static_cast<int64_t>(tensor.rows());
    at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
      const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
      formats::dequantize_rows(tensor, before + first, count, {values + first * row, count * row});
    });
    forget_pages(tensor.bytes);
    return own_ ? out : from_foreign(config_, layout_, *part, out);
  }

  std::optional<StoredBlocks> blocks(const std::string& name) const override {
    const ForeignPart* const part = parts_.of(name);
    if (!part || part->name.empty() || (!own_ && has_other_rows(config_, *part))) return std::nullopt;
    const formats::GgufTensor& tensor = file_.tensor(part->name);
    if (tensor.shape.size() != 2) return std::nullopt;
    StoredBlocks out{static_cast<uint32_t>(tensor.type), static_cast<int64_t>(tensor.shape[0]),
                     static_cast<int64_t>(tensor.shape[1]), tensor.bytes};
    if (!part->of_whole_parameter) return out;
    if (out.rows != shape_of(*part->parameter, config_)[0]) return std::nullopt;  // read() says what is wrong
    const size_t row = tensor.bytes.size() / static_cast<size_t>(out.rows);
    out.bytes = tensor.bytes.substr(static_cast<size_t>(part->part.first_row) * row,
                                    static_cast<size_t>(part->part.rows) * row);
    out.rows = part->part.rows;
    return out;
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
  formats::Gguf file_;
  ForeignParts parts_;
  bool own_ = false;  // one of our own models (families/gguf_description.h)
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
