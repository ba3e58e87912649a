#include "cli/paths.h"

#include <algorithm>
#include <cstdlib>

namespace ingrain::cli {

namespace fs = std::filesystem;

namespace {

fs::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// Folders from the program's own upwards (as installed: bin/ beside share/).
std::vector<fs::path> around_the_program() {
  std::vector<fs::path> out;
  std::error_code none;
  fs::path folder = fs::read_symlink("/proc/self/exe", none).parent_path();
  for (int up = 0; up < 5 && !folder.empty(); ++up) {
    out.push_back(folder);
    out.push_back(folder / "share/ingrain");
    if (folder == folder.root_path()) break;
    folder = folder.parent_path();
  }
  return out;
}

}  // namespace

fs::path project_folder() {
  if (const fs::path home = from_environment("INGRAIN_HOME"); !home.empty()) return home;
  std::error_code none;
  if (fs::is_directory(fs::path(INGRAIN_SOURCE_FOLDER) / "models", none)) return INGRAIN_SOURCE_FOLDER;
  for (const fs::path& folder : around_the_program())
    if (fs::is_directory(folder / "models", none)) return folder;
  return INGRAIN_SOURCE_FOLDER;
}

std::vector<fs::path> model_places() {
  std::vector<fs::path> all{from_environment("INGRAIN_MODELS"), project_folder() / "models"}, out;
  for (const fs::path& folder : around_the_program()) all.push_back(folder / "models");
  std::error_code none;
  for (const fs::path& place : all)
    if (!place.empty() && fs::is_directory(place, none) &&
        std::none_of(out.begin(), out.end(), [&](const fs::path& known) { return fs::equivalent(known, place, none); }))
      out.push_back(place);
  return out;
}

fs::path state_folder() {
  if (const fs::path state = from_environment("XDG_STATE_HOME"); !state.empty()) return state / "ingrain";
  const fs::path home = from_environment("HOME");
  return home.empty() ? fs::path() : home / ".local/state/ingrain";
}

}  // namespace ingrain::cli
