#include "model/model_tokenizer.h"

#include "base/error.h"
#include "formats/gguf_tokenizer.h"

namespace ingrain {

namespace fs = std::filesystem;

std::optional<data::Tokenizer> find_tokenizer(const fs::path& model, const ModelConfig& config) {
  std::optional<data::Tokenizer> tokenizer;
  fs::path file_of_it = model;
  if (formats::is_gguf(model)) {
    const formats::Gguf file(model);
    if (formats::has_gguf_tokenizer(file)) tokenizer = formats::gguf_tokenizer(file);
  } else if (fs::exists(model / "tokenizer.json")) {
    tokenizer = data::Tokenizer::load(model);
    file_of_it /= "tokenizer.json";
  }
  require(!tokenizer || tokenizer->vocab_size() <= static_cast<size_t>(config.vocab_size),
          "{}: this tokenizer has ids up to {}, the model only up to {}; it belongs to another model", file_of_it.string(),
          tokenizer ? tokenizer->vocab_size() - 1 : 0, config.vocab_size - 1);
  return tokenizer;
}

data::Tokenizer load_tokenizer(const fs::path& model, const ModelConfig& config) {
  auto found = find_tokenizer(model, config);
  require(found.has_value(), "{}: no tokenizer there; put the model's own tokenizer.json beside its weights", model.string());
  return *std::move(found);
}

}  // namespace ingrain
