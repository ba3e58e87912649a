// What people give in place of a model, told from each other.
#pragma once

#include <filesystem>

namespace ingrain {

/// Error: why what is at `path`, which is no model, is none, and what to give in its place: the folder for a file that
/// lies in it, where there is one, and a file for a folder of GGUF files.
[[noreturn]] void fail_no_model(const std::filesystem::path& path);

}  // namespace ingrain
