// ingrain quantize: a model as a GGUF file in few bits a weight.
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/ranges.h"
#include "store/quantize_model.h"

#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeOptions {
  std::string model, target, type = "q4_k_m";
  bool force = false;
};

std::vector<std::string> mixture_names() {
  std::vector<std::string> out;
  for (const formats::GgufMixture& mixture : formats::gguf_mixtures()) out.emplace_back(mixture.name);
  return out;
}

/// Before anything is read.
void check_target(const fs::path& model, const QuantizeOptions& o) {
  std::error_code none;
  require_no_input(o.target, model);
  require_writable(o.target);
  if (!o.force && fs::exists(o.target, none)) fail_usage("{}: is there already; --force replaces it", o.target);
}

void quantize(const QuantizeOptions& o) {
  watch_interrupts("nothing is left behind");
  const fs::path model = resolve_model(o.model);
  check_target(model, o);
  const QuantizedModel quantized(model, *formats::find_mixture(o.type));
  for (const std::string& note : quantized.notes()) std::fprintf(stderr, "ingrain: %s\n", note.c_str());
  require_space(o.target, quantized.bytes(), "the quantized model");
  Progress progress("quantizing", quantized.weights(), "weights");
  quantized.write(o.target, [&](uint64_t done) {
    stop_if_interrupted(o.target + ": stopped; nothing was written");
    progress.update(done);
  });
  progress.finish();
  std::printf("%s: %s, %.2f bits a weight; tensors: %s\n", o.target.c_str(), format_bytes(quantized.bytes()).c_str(),
              8 * static_cast<double>(quantized.bytes()) / static_cast<double>(quantized.weights()),
              quantized.types().c_str());
}

}  // namespace

void add_quantize_command(CLI::App& app) {
  auto* command = app.add_subcommand("quantize", "Write a model as a .gguf file in few bits a weight");
  auto o = std::make_shared<QuantizeOptions>();
  command->add_option("MODEL", o->model, "A model: a folder, one of Hugging Face's too, or a .gguf file")->required();
  command->add_option("-o,--output", o->target, "The .gguf file to write")->required();
  command
      ->add_option("--type", o->type,
                   "How weights are kept. The types of several kinds (_m, _s, _l) give more bits to the tensors that "
                   "need them")
      ->check(one_of(mixture_names()))
      ->capture_default_str();
  command->add_flag("-f,--force", o->force, "Replace a file that is there already");
  command->footer(
      "Fast weights and norms stay as they are. What each type costs in loss: docs/models.md.\n"
      "Examples:\n"
      "  ingrain quantize ~/Qwen3-0.6B -o qwen3-q4_k_m.gguf\n"
      "  ingrain quantize models/reader -o reader.gguf --type q8_0");
  command->callback([o] { quantize(*o); });
}

}  // namespace ingrain::cli
