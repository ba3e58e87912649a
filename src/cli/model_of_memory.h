// A memory file names its model by fingerprint; people want to name the memory alone.
#pragma once

#include "ingrain/memory.h"

#include <string>

namespace ingrain::cli {

/// The folder of the model that `memory_file` belongs to: `named` if that is not empty (then it is not checked here),
/// else the first match among the folders in INGRAIN_MODELS (one path, searched one level deep) and in the project's
/// models/. Error that names the fingerprint and the remedy if there is none.
std::filesystem::path model_of_memory(const std::filesystem::path& memory_file, const std::string& named);

}  // namespace ingrain::cli
