// Folders that hold GGUF files and nothing else of a model, as downloads leave them.
#pragma once

#include <filesystem>
#include <vector>

namespace ingrain::formats {

/// The .gguf files in `folder` by name, of split ones the first part; none where it is no folder, cannot be read, or
/// has a config.json: then it is itself the model.
std::vector<std::filesystem::path> ggufs_of(const std::filesystem::path& folder);

}  // namespace ingrain::formats
