// Where the project's own files lie.
#pragma once

#include <filesystem>
#include <vector>

namespace ingrain::cli {

/// INGRAIN_HOME, else the project that the program was built in, else, where that is gone (the program was copied), the
/// folder above or beside the program that has models/.
std::filesystem::path project_folder();

/// Folders that models are looked for in: INGRAIN_MODELS, the project's models/, models/ beside the program and above
/// it.
std::vector<std::filesystem::path> model_places();

/// Where what the program remembers between runs lies ($XDG_STATE_HOME/ingrain); empty without a home. Not made here.
std::filesystem::path state_folder();

}  // namespace ingrain::cli
