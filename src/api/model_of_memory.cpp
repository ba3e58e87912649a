#include "base/error.h"
#include "ingrain/find_model.h"
#include "ingrain/memory_file.h"
#include "store/gguf_folder.h"
#include "store/stored_weights.h"

#include <algorithm>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

/// The folders with a config.json, and the .gguf files, in `place` and in its folders without one, by name.
std::vector<fs::path> models_in(const fs::path& place) {
  std::vector<fs::path> out = ggufs_in(place);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(place, none)) {
    if (fs::exists(entry.path() / "config.json", none)) out.push_back(entry.path());
    for (fs::path& file : ggufs_of(entry.path())) out.push_back(std::move(file));
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Whether the folder's model has this fingerprint. One that cannot be read is not it.
bool is_model(const fs::path& folder, const std::string& fingerprint) {
  try {
    return StoredWeights(folder).fingerprint() == fingerprint;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<fs::path> find_models(std::span<const fs::path> places) {
  std::vector<fs::path> out;
  for (const fs::path& place : places)
    for (fs::path& model : models_in(place)) out.push_back(std::move(model));
  return out;
}

fs::path model_of_memory(const fs::path& memory_file, std::span<const fs::path> places) {
  const MemoryInfo info = memory_info(memory_file);
  for (const fs::path& folder : find_models(places))
    if (is_model(folder, info.model_fingerprint)) return folder;
  std::vector<std::string> names;
  for (const fs::path& place : places) names.push_back(place.string());
  fail("{}: it belongs to the model {}, which is in none of these folders: {}", memory_file.string(),
       info.model_fingerprint, names.empty() ? "(none)" : fmt::format("{}", fmt::join(names, ", ")));
}

}  // namespace ingrain
