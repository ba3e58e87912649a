#include "cli/model_of_memory.h"

#include "base/error.h"
#include "cli/paths.h"
#include "store/stored_weights.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace ingrain::cli {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> known_models() {
  std::vector<fs::path> out;
  const char* elsewhere = std::getenv("INGRAIN_MODELS");
  for (const fs::path& place : {fs::path(elsewhere ? elsewhere : ""), project_folder() / "models"}) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(place, none))
      if (fs::exists(entry.path() / "config.json")) out.push_back(entry.path());
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

fs::path model_of_memory(const fs::path& memory_file, const std::string& named) {
  const ttt::MemoryInfo info = ttt::read_memory_info(memory_file);
  if (!named.empty()) return named;
  for (const fs::path& folder : known_models())
    if (is_model(folder, info.model_fingerprint)) return folder;
  fail("{}: it belongs to the model {}, which is neither in {} nor in INGRAIN_MODELS; name its folder with --model",
       memory_file.string(), info.model_fingerprint, (project_folder() / "models").string());
}

}  // namespace ingrain::cli
