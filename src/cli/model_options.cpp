#include "cli/model_options.h"

#include "model/packed.h"

namespace ingrain::cli {

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("MODEL", folder, "A model: a folder with config.json, model.safetensors and tokenizer.json (ours or Hugging Face's), or a .gguf file")->required();
  command.add_option("--dtype", dtype, "Compute type: fp32, bf16, fp64; auto: bf16 where the processor has it, else fp32")->capture_default_str();
  command.add_option("--weights", weights, "q8_0: slow weights rounded to eight bits, which makes writing faster; native: as they are")
      ->check(CLI::IsMember({"native", "q8_0"}))->capture_default_str();
}

Network ModelOptions::load() const {
  Network model = load_model(folder, parse_compute_type(dtype));
  choose_weights(model, weights);
  return model;
}

Model ModelOptions::open() const { return Model::load(folder, {.dtype = dtype, .weights = weights}); }

data::Tokenizer ModelOptions::tokenizer(const Network& model) const { return load_tokenizer(folder, model.config); }

std::vector<int32_t> document_tokens(const ModelConfig& config, const data::Tokenizer& tokenizer, std::string_view text, bool first) {
  std::vector<int32_t> tokens = tokenizer.encode(text);
  if (first && config.bos_id >= 0) tokens.insert(tokens.begin(), static_cast<int32_t>(config.bos_id));
  return tokens;
}

}  // namespace ingrain::cli
