#include "formats/gguf_folder.h"

#include "formats/gguf_split.h"

#include <algorithm>

namespace ingrain::formats {

namespace fs = std::filesystem;

std::vector<fs::path> ggufs_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code none;
  if (!fs::is_directory(folder, none) || fs::exists(folder / "config.json", none)) return out;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (names_gguf_model(entry.path().filename().string()) && entry.is_regular_file(none)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace ingrain::formats
