#include "ingrain/memory_file.h"

#include "base/error.h"
#include "ttt/memory_file.h"

namespace ingrain {

MemoryInfo memory_info(const std::filesystem::path& file) { return ttt::read_memory_info(file); }
MemoryInfo check_memory_file(const std::filesystem::path& file) { return ttt::check_memory(file); }

bool is_memory_file(const std::filesystem::path& file) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  try {
    memory_info(file);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace ingrain
