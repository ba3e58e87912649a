#include "cli/model_options.h"
#include "cli/warnings.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "cli/paths.h"
#include "cli/ranges.h"
#include "ingrain/find_model.h"
#include "ingrain/memory_file.h"
#include "model/quantized.h"
#include "store/gguf_folder.h"
#include "store/hub.h"
#include "store/no_model.h"
#include "store/pretrained.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace ingrain::cli {

namespace fs = std::filesystem;

namespace {

/// did_you_mean(), also of a name's part, in capitals or not: often all of it that is remembered.
std::string like_name_of_model(const std::string& name, const std::vector<std::string>& names) {
  constexpr size_t kLeast = 3;
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  std::string like = did_you_mean(name, names);
  for (size_t i = 0; like.empty() && name.size() >= kLeast && i < names.size(); ++i)
    if (!std::ranges::search(names[i], name, same).empty()) like = did_you_mean(names[i], {names[i]});
  return like;
}

}  // namespace

void require_no_input(const fs::path& output, const fs::path& model, const std::vector<fs::path>& texts) {
  constexpr std::string_view kOfModels[] = {".json", ".safetensors", ".jinja", ".model"};
  std::error_code none;
  if (!fs::is_regular_file(output, none)) return;
  for (const fs::path& text : texts)
    require(!fs::equivalent(output, text, none), "{}: is what is to be read; choose another name for the memory",
            output.string());
  const fs::path file = fs::canonical(output, none);
  const bool of_a_model =
      file.filename() == kGgufInFolder ||
      std::find(std::begin(kOfModels), std::end(kOfModels), file.extension().string()) != std::end(kOfModels);
  const bool beside = of_a_model && fs::equivalent(file.parent_path(), model, none) && kind_of_file(file) != "a memory";
  require(!beside && !fs::equivalent(file, model, none), "{}: is the model's own; choose another place",
          output.string());
}

void require_no_memory(const std::string& name) {
  if (is_memory_file(name))
    fail_usage(
        "{}: this is a memory, not a model; the commands that read, write or score take the model first and this with "
        "--memory {}; 'ask' and 'chat --memory' find its model by themselves",
        name, name);
}

fs::path gguf_in(const fs::path& path) {
  const auto ggufs = ggufs_of(path);
  if (ggufs.size() > 1 && !fs::exists(path / "tokenizer.json")) fail_no_model(path);
  return ggufs.size() == 1 ? ggufs[0] : path;
}

fs::path resolve_model(const std::string& name) { return resolve_model(name, {}); }

fs::path resolve_model(const std::string& name, const std::vector<std::string>& shapes) {
  if (const auto hub = parse_hub_name(name)) return hub_model(*hub);
  require_no_memory(name);
  std::error_code none;
  if (std::find(shapes.begin(), shapes.end(), name) != shapes.end()) return name;
  if (fs::exists(name, none)) return gguf_in(name);
  std::vector<std::string> names = shapes;
  for (const fs::path& model : find_models(model_places())) {
    if (model.filename() == name || model.stem() == name) return model;
    if (model.parent_path().filename() == name && !ggufs_of(model.parent_path()).empty())
      return gguf_in(model.parent_path());
    names.push_back(model.filename().string());
  }
  fail("{}: no such model: neither a folder or file, nor a name that 'ingrain models' lists{}{}", printable(name),
       shapes.empty() ? "" : fmt::format(", nor one of the shapes {}", fmt::join(shapes, ", ")),
       like_name_of_model(fs::path(name).filename().string(), names));
}

ModelConfig config_of(const fs::path& model) {
  if (const auto decoder = open_decoder(model)) return decoder->config();
  return load_config(model / "config.json");
}

fs::path model_for_memory(const std::string& memory, const std::string& named) {
  if (!named.empty()) return resolve_model(named);
  try {
    return model_of_memory(memory, model_places());
  } catch (const UsageError&) {
    throw;
  } catch (const Error& e) {
    if (!is_memory_file(memory)) throw;
    fail("{}; name its folder with --model, or put that into INGRAIN_MODELS", e.what());
  }
}

void add_device_option(CLI::App& command, std::string& device) {
  command
      .add_option(
          "--device", device,
          "Where to compute: cpu, cuda (the first GPU), cuda:N; auto: the first GPU that can be used, else the CPU")
      ->type_name("DEVICE {auto,cpu,cuda}")
      ->capture_default_str();
}

void add_compute_options(CLI::App& command, LoadOptions& how) {
  add_device_option(command, how.device);
  command
      .add_option("--dtype", how.dtype,
                  "Compute type: fp32, bf16, fp64; auto: bf16 on a GPU and where the processor has it, else fp32")
      ->type_name("TYPE {auto,fp32,bf16,fp64}")
      ->capture_default_str();
}

void add_weights_option(CLI::App& command, LoadOptions& how) {
  command
      .add_option("--weights", how.weights,
                  "q8_0, q4_1: slow weights rounded to eight or four bits, which makes writing on the CPU faster; "
                  "native: as the file has them, in its own blocks where it is quantized; expanded: those, too, in the "
                  "compute type")
      ->check(one_of(weight_forms()))
      ->capture_default_str();
}

void add_step_delay_option(CLI::App& command, LoadOptions& how) {
  add_whole(command, "--step-delay", how.step_delay,
            "So many tokens after a chunk are still read with the weights before its inner step, which is computed "
            "meanwhile: no token waits for it; 0: none (default: what the model says" +
                std::string(how.step_delay ? ", else an eighth of a chunk on a CPU, where a chunk has one step)" : ")"),
            0);
}

void add_special_flag(CLI::App& command, bool& special) {
  command.add_flag("--special", special,
                   "Control tokens written in the text (\"<|im_end|>\") are meant as such; otherwise they are text");
}

void warn_of_double_bos(const Model& model, int32_t first) {
  static bool said = false;
  if (said || model.begin_of_text() != first) return;
  said = true;
  std::fprintf(
      stderr,
      "ingrain: the text begins with the model's beginning-of-text token, which is put before every text anyway: "
      "two are read; leave it out of the text\n");
}

void ModelOptions::add_to(CLI::App& command) {
  add_folder_to(command);
  add_compute_options(command, how);
  add_weights_option(command, how);
  add_step_delay_option(command, how);
}

void ModelOptions::add_folder_to(CLI::App& command) {
  command
      .add_option("MODEL", folder,
                  "A model: a folder with config.json, model.safetensors and tokenizer.json (ours or Hugging Face's), "
                  "a .gguf file, a name that 'ingrain models' lists, or hf:ORG/NAME of the hub's cache")
      ->required();
}

Model ModelOptions::load() const { return Model::load(resolve_model(folder), how); }

Model ModelOptions::open() const {
  Model out = load();
  for (const std::string& warning : out.warnings()) say_warning(warning);
  return out;
}

}  // namespace ingrain::cli
