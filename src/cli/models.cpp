// ingrain models: what is known, with sizes.
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/paths.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "ingrain/find_model.h"
#include "model/config.h"
#include "model/parameters.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

struct Known {
  fs::path path;
  std::string parameters, note;  // note: what is wrong with it, or how it reads
  uint64_t bytes = 0;
  bool usable = true;
};

uint64_t bytes_of(const fs::path& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) return fs::file_size(path, none);
  uint64_t out = 0;
  for (const auto& entry : fs::directory_iterator(path, none))
    if (entry.is_regular_file(none)) out += entry.file_size(none);
  return out;
}

/// Where an adapter's base should be, if `folder` is an adapter.
std::optional<fs::path> base_of(const fs::path& folder) {
  const fs::path file = folder / "base.json";
  if (!fs::exists(file)) return std::nullopt;
  const auto root = nlohmann::json::parse(read_file(file, 1 << 20), nullptr, /*allow_exceptions=*/false);
  require(root.is_object() && root.contains("model") && root["model"].is_string(), "{}: names no model", file.string());
  return (folder / root["model"].get<std::string>()).lexically_normal();
}

Known look_at(const fs::path& path) {
  Known out{path, "-", "", bytes_of(path)};
  try {
    const ModelConfig config = config_of(path);
    out.parameters = fmt::format("{:.0f}M", static_cast<double>(parameter_count(config)) / 1e6);
    out.note =
        config.suffix_len > 0 ? "learns while it reads" : "does not learn: 'ingrain retrofit' makes one that does";
    if (const auto base = base_of(path)) {
      std::error_code none;
      out.usable = fs::exists(*base, none);
      out.note = out.usable
                     ? out.note + fmt::format("; on {}", base->filename().string())
                     : fmt::format("its base {} is not here; './ingrain chat' fetches it", base->filename().string());
    }
  } catch (const Error& e) {
    out.usable = false;
    out.note = e.what();
  }
  return out;
}

void print(const std::vector<Known>& models) {
  size_t width = 5;
  for (const Known& model : models) width = std::max(width, model.path.string().size());
  for (const Known& model : models)
    std::printf("%-*s %9s %10s  %s\n", static_cast<int>(width), model.path.c_str(), model.parameters.c_str(),
                format_bytes(model.bytes).c_str(), model.note.c_str());
}

void models(bool as_json) {
  std::vector<Known> all;
  for (const fs::path& path : find_models(model_places())) all.push_back(look_at(path));
  if (as_json) {
    nlohmann::ordered_json root = nlohmann::ordered_json::array();
    for (const Known& model : all)
      root.push_back({{"path", model.path.string()},
                      {"parameters", model.parameters},
                      {"bytes", model.bytes},
                      {"usable", model.usable},
                      {"note", model.note}});
    std::printf("%s\n", root.dump(2).c_str());
    return;
  }
  require(!all.empty(), "there are no models in {}; INGRAIN_MODELS=DIR names a folder that has some",
          (project_folder() / "models").string());
  print(all);
  std::printf("Every command that takes a MODEL takes these paths, or the last part of one.\n");
}

}  // namespace

void add_models_command(CLI::App& app) {
  auto* command = app.add_subcommand("models", "List the models that are here, with their sizes");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "Print JSON");
  command->footer(
      "Looked for in INGRAIN_MODELS, the project's models/ and those beside and above the program.\n"
      "Example: ingrain models");
  command->callback([as_json] { models(*as_json); });
}

}  // namespace ingrain::cli
