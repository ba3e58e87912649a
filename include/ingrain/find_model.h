// Models by the places where they lie; a memory file names its model by fingerprint, people name the memory alone.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

namespace ingrain {

/// The models in `places`: folders with a config.json, .gguf files, and those in folders without one; of each place by
/// name.
std::vector<std::filesystem::path> find_models(std::span<const std::filesystem::path> places);

/// The first of them that `memory_file` belongs to, by its fingerprint. Error that names it if there is none.
std::filesystem::path model_of_memory(const std::filesystem::path& memory_file,
                                      std::span<const std::filesystem::path> places);

}  // namespace ingrain
