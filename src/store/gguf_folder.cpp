#include "store/gguf_folder.h"

#include "formats/gguf_split.h"

#include <algorithm>

namespace ingrain {

namespace fs = std::filesystem;

std::vector<fs::path> ggufs_in(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (formats::names_gguf_model(entry.path().filename().string()) && entry.is_regular_file(none))
      out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<fs::path> ggufs_of(const fs::path& folder) {
  std::error_code none;
  return fs::exists(folder / "config.json", none) ? std::vector<fs::path>() : ggufs_in(folder);
}

}  // namespace ingrain
