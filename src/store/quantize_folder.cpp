// A folder of ours or Hugging Face's to be quantized: what a GGUF file says of it, and its tensors under GGUF's names,
// or ours where the model is none that other programs know.
#include "base/error.h"
#include "base/files.h"
#include "chat/chat_template_file.h"
#include "families/gguf_description.h"
#include "store/model_tokenizer.h"
#include "store/quantize_source.h"
#include "store/stored_weights.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/gguf_write.h"

#include <algorithm>

namespace ingrain {
namespace {

namespace fs = std::filesystem;
using formats::GgufType;

std::string read_if_there(const fs::path& file) {
  constexpr uint64_t kMost = 256 << 20;
  return fs::exists(file) ? read_file(file, kMost) : std::string();
}

/// The rows of each head from halves, (i, i + d/2), to neighbours, (2i, 2i + 1), or back.
Tensor reordered(const Tensor& x, int64_t head_dim, bool to_pairs) {
  std::vector<int64_t> of_head = {-1, to_pairs ? 2 : head_dim / 2, to_pairs ? head_dim / 2 : 2};
  return x.unflatten(0, of_head).transpose(1, 2).flatten(0, 2).contiguous();
}

class FolderSource : public QuantizedModel::Source {
 public:
  explicit FolderSource(const fs::path& path) : stored_(path) {
    name_ = path.string();
    const ModelConfig& config = stored_.config();
    model_ = {config.num_layers, config.num_heads, config.num_kv_heads, config.tie_embeddings};
    families::GgufDescription described = families::describe_as_gguf(config);
    own_ = described.architecture == families::kOwnArchitecture;
    other_order_ = !own_ && described.pairs != config.rope_interleaved;
    metadata_ = std::move(described.metadata);
    metadata_.set("general.name", fs::absolute(path).lexically_normal().filename().string());
    set_tokenizer(path);
    for (auto& [name, numbers] : described.tables) {
      tensors_.push_back({name, GgufType::F32, {numbers.size()}});
      places_.push_back({"", std::move(numbers), 0});
    }
    for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
      for (const StoredPart& part : stored_parts(parameter, config, layer)) add(parameter, part);
    });
    if (own_)
      notes_.push_back(
          fmt::format("{}: {}, so that the file is for ingrain alone: other programs do not know this model", name_,
                      config.suffix_len > 0 ? "it has fast weights" : "no architecture of llama.cpp's is this model"));
  }

  void begin(size_t tensor) override {
    const Place& place = places_[tensor];
    if (!place.table.empty()) {
      loaded_ = at::tensor(place.table);
      return;
    }
    loaded_ = stored_.read(place.stored).to(at::kFloat).contiguous();
    const auto& shape = tensors_[tensor].shape;
    require(std::equal(shape.begin(), shape.end(), loaded_.sizes().begin(), loaded_.sizes().end(),
                       [](uint64_t a, int64_t b) { return static_cast<int64_t>(a) == b; }),
            "{}: tensor '{}' has shape [{}]; the model's configuration asks for [{}]", name_, place.stored,
            fmt::join(loaded_.sizes(), ", "), fmt::join(shape, ", "));
    if (place.heads_of > 0)
      loaded_ = reordered(loaded_, place.heads_of, /*to_pairs=*/!stored_.config().rope_interleaved);
  }
  void end(size_t) override { loaded_ = Tensor(); }

  void rows(size_t tensor, uint64_t first, uint64_t count, std::span<float> out) const override {
    const uint64_t row = tensors_[tensor].shape.back();
    std::copy_n(loaded_.const_data_ptr<float>() + first * row, count * row, out.begin());
  }

  /// The name by which a type is chosen, which for what GGUF knows is its own.
  const std::string& kind(size_t tensor) const override { return places_[tensor].kind; }

 private:
  struct Place {
    std::string stored;        // in model.safetensors
    std::vector<float> table;  // or its numbers
    int64_t heads_of = 0;      // rows are to be put in the other order, head by head
    std::string kind = "";
  };

  void add(const Parameter& parameter, const StoredPart& part) {
    const ModelConfig& config = stored_.config();
    std::vector<uint64_t> shape;
    for (const int64_t extent : shape_of(parameter, config)) shape.push_back(static_cast<uint64_t>(extent));
    shape[0] = static_cast<uint64_t>(part.rows);
    const bool weights = parameter.quantizable || parameter.kind == ParameterKind::embedding;
    const bool of_fast = parameter.step == Step::fast;
    tensors_.push_back({own_ ? part.name : part.gguf, GgufType::F32, std::move(shape)});
    const bool q_or_k =
        part.gguf.find("attn_q.") != std::string::npos || part.gguf.find("attn_k.") != std::string::npos;
    // What is not to be rounded has no name that ends in "weight".
    std::string kind = !weights || of_fast ? "kept" : part.gguf.empty() ? "blk.0.other.weight" : part.gguf;
    places_.push_back({part.name, {}, q_or_k && other_order_ ? config.head_dim : 0, std::move(kind)});
  }

  void set_tokenizer(const fs::path& path) {
    const std::string json = read_if_there(path / "tokenizer.json");
    if (const auto chat = chat::find_chat_template(path)) metadata_.set("tokenizer.chat_template", *chat);
    if (json.empty()) {
      notes_.push_back(fmt::format("{}: has no tokenizer.json, and the file will have no tokenizer", name_));
      return;
    }
    const std::string config = read_if_there(path / "tokenizer_config.json"),
                      special = read_if_there(path / "special_tokens_map.json"),
                      added = read_if_there(path / "added_tokens.json");
    const auto rows = static_cast<int32_t>(std::min<int64_t>(stored_.config().vocab_size, tokenizer::kMaxTokenId));
    find_tokenizer(path, stored_.config());  // refuses one that belongs to another model
    if (!own_ && tokenizer::set_gguf_tokenizer(json, {config, special, added}, name_, rows, metadata_)) return;
    metadata_.set(tokenizer::kOwnTokenizer, json);
    if (!config.empty()) metadata_.set(tokenizer::kOwnTokenizerConfig, config);
    if (!own_)
      notes_.push_back(
          fmt::format("{}: its tokenizer is none of llama.cpp's, so that the file's text is for ingrain alone", name_));
  }

  StoredWeights stored_;
  bool own_ = false, other_order_ = false;
  std::vector<Place> places_;
  Tensor loaded_;
};

}  // namespace

std::unique_ptr<QuantizedModel::Source> quantize_source_of_folder(const fs::path& path) {
  return std::make_unique<FolderSource>(path);
}

}  // namespace ingrain
