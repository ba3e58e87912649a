#include "base/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace ingrain {

void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kLargest = 1 << 30;  // tensors above this still come from, and return to, the kernel
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, kLargest);
#endif
}

void share_pools([[maybe_unused]] int pools) {
#if defined(__GLIBC__)
  mallopt(M_ARENA_MAX, pools);
#endif
}

void give_back_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

void forget_pages(std::string_view bytes_of_file) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t before = (page - reinterpret_cast<uintptr_t>(bytes_of_file.data()) % page) % page;
  if (bytes_of_file.size() < before + page) return;
  const size_t whole = (bytes_of_file.size() - before) / page * page;
  ::madvise(const_cast<char*>(bytes_of_file.data()) + before, whole, MADV_DONTNEED);  // a wish
}

uint64_t resident_bytes() {
  uint64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;  // pages
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace ingrain
