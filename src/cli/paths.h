// Where things of the project lie, for commands that need them.
#pragma once

#include <filesystem>

namespace ingrain::cli {

/// The project's folder: INGRAIN_HOME, or where the program was built from.
std::filesystem::path project_folder();

}  // namespace ingrain::cli
