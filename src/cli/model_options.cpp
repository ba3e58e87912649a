#include "cli/model_options.h"

#include "base/error.h"

namespace ingrain::cli {

namespace fs = std::filesystem;

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("MODEL", folder, "A model folder: config.json, model.safetensors, tokenizer.json")->required();
  command.add_option("--dtype", dtype, "Compute type: fp32, bf16, fp64; auto: bf16 where the processor has it, else fp32")->capture_default_str();
}

Model ModelOptions::load() const { return load_model(folder, parse_compute_type(dtype)); }

data::Tokenizer ModelOptions::tokenizer(const Model& model) const {
  auto found = find_tokenizer(folder, model.config);
  require(found.has_value(), "{}: no tokenizer.json there; put the model's own beside its weights", folder);
  return *std::move(found);
}

std::optional<data::Tokenizer> find_tokenizer(const fs::path& folder, const ModelConfig& config) {
  if (!fs::exists(folder / "tokenizer.json")) return std::nullopt;
  data::Tokenizer tokenizer = data::Tokenizer::load(folder);
  require(tokenizer.vocab_size() <= static_cast<size_t>(config.vocab_size),
          "{}: this tokenizer has ids up to {}, the model only up to {}; it belongs to another model",
          (folder / "tokenizer.json").string(), tokenizer.vocab_size() - 1, config.vocab_size - 1);
  return tokenizer;
}

std::vector<int32_t> document_tokens(const ModelConfig& config, const data::Tokenizer& tokenizer, std::string_view text, bool first) {
  std::vector<int32_t> tokens = tokenizer.encode(text);
  if (first && config.bos_id >= 0) tokens.insert(tokens.begin(), static_cast<int32_t>(config.bos_id));
  return tokens;
}

}  // namespace ingrain::cli
