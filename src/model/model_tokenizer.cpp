#include "model/model_tokenizer.h"

#include "base/error.h"

namespace ingrain {

namespace fs = std::filesystem;

std::optional<data::Tokenizer> find_tokenizer(const fs::path& folder, const ModelConfig& config) {
  if (!fs::exists(folder / "tokenizer.json")) return std::nullopt;
  data::Tokenizer tokenizer = data::Tokenizer::load(folder);
  require(tokenizer.vocab_size() <= static_cast<size_t>(config.vocab_size),
          "{}: this tokenizer has ids up to {}, the model only up to {}; it belongs to another model",
          (folder / "tokenizer.json").string(), tokenizer.vocab_size() - 1, config.vocab_size - 1);
  return tokenizer;
}

data::Tokenizer load_tokenizer(const fs::path& folder, const ModelConfig& config) {
  auto found = find_tokenizer(folder, config);
  require(found.has_value(), "{}: no tokenizer.json there; put the model's own beside its weights", folder.string());
  return *std::move(found);
}

}  // namespace ingrain
