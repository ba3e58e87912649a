// Memory files by what they say of themselves; no model is needed for it.
#pragma once

#include "ingrain/memory.h"

namespace ingrain {

/// What a memory file says of itself (docs/formats.md).
struct MemoryInfo {
  int64_t version = 0;  // of the format
  MemoryForm form = MemoryForm::working;
  std::string model_fingerprint, config;  // of the model that it belongs to: Model::fingerprint(), its config.json
  int64_t position = 0;                   // tokens read
  int64_t filled = 0;                     // of them in the unfinished chunk
  int64_t steps = 0;                      // inner steps made
  int64_t batch = 0;                      // sequences; Memory::load() takes files of one
  uint64_t bytes = 0;                     // of the file
};

/// By the file's beginning alone, which is fast. Error, naming the file and what it is instead, if it is no memory.
MemoryInfo memory_info(const std::filesystem::path& file);

/// The same of a file that is whole: all of it is read and held against its checksum. Error if it is damaged.
MemoryInfo check_memory_file(const std::filesystem::path& file);

/// Whether memory_info() takes it; false for what is not there, too.
bool is_memory_file(const std::filesystem::path& file);

}  // namespace ingrain
