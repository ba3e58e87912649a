#include "cli/model_options.h"
#include "cli/warnings.h"

#include "api/parts.h"
#include "model/quantized.h"

namespace ingrain::cli {

void add_device_option(CLI::App& command, std::string& device) {
  command
      .add_option(
          "--device", device,
          "Where to compute: cpu, cuda (the first GPU), cuda:N; auto: the first GPU that can be used, else the CPU")
      ->capture_default_str();
}

void add_compute_options(CLI::App& command, LoadOptions& how) {
  add_device_option(command, how.device);
  command
      .add_option("--dtype", how.dtype,
                  "Compute type: fp32, bf16, fp64; auto: bf16 on a GPU and where the processor has it, else fp32")
      ->capture_default_str();
}

void add_weights_option(CLI::App& command, LoadOptions& how) {
  command
      .add_option("--weights", how.weights,
                  "q8_0, q4_1: slow weights rounded to eight or four bits, which makes writing on the CPU faster; "
                  "native: as they are")
      ->check(CLI::IsMember(weight_forms()))
      ->capture_default_str();
}

void ModelOptions::add_to(CLI::App& command) {
  add_folder_to(command);
  add_compute_options(command, how);
  add_weights_option(command, how);
}

void ModelOptions::add_folder_to(CLI::App& command) {
  command
      .add_option("MODEL", folder,
                  "A model: a folder with config.json, model.safetensors and tokenizer.json (ours or Hugging Face's), "
                  "or a .gguf file")
      ->required();
}

Network ModelOptions::load() const { return open_model(folder, how); }

Model ModelOptions::open() const {
  Model out = Model::Parts::join(load(), folder);
  say_warnings(out.parts().tokenizer);
  return out;
}

tokenizer::Tokenizer ModelOptions::tokenizer(const Network& model) const {
  tokenizer::Tokenizer out = load_tokenizer(folder, model.config);
  say_warnings(out);
  return out;
}

}  // namespace ingrain::cli
