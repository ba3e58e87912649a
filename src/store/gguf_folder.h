// Folders that hold GGUF files and nothing else of a model, as downloads leave them.
#pragma once

#include <filesystem>
#include <vector>

namespace ingrain {

/// The GGUF models in `folder` by name: files, and the first parts of those in parts; none where it is no folder or
/// cannot be read.
std::vector<std::filesystem::path> ggufs_in(const std::filesystem::path& folder);
/// The same, but none where it has a config.json: then it is itself the model.
std::vector<std::filesystem::path> ggufs_of(const std::filesystem::path& folder);

}  // namespace ingrain
