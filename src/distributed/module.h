// Libraries that the program opens where it needs them, so that it is linked with neither MPI nor NCCL.
#pragma once

#include <filesystem>

#include "distributed/communicator.h"

namespace ingrain::distributed {

/// Beside the program, in the folder of an installation, or where the environment's `variable` says; empty: nowhere.
std::filesystem::path find_module(const char* file, const char* variable);

/// The address of its one symbol, null if it has none of that name. Error with the remedy if it cannot be opened.
void* open_module(const std::filesystem::path& path, const char* symbol, const char* remedy);

/// Parts as modules take them.
struct Places {
  explicit Places(Parts parts_R) {
    for (const Part& part : parts_R) begins.push_back(part.begin), sizes.push_back(part.size);
  }
  std::vector<uint64_t> begins, sizes;
};

}  // namespace ingrain::distributed
