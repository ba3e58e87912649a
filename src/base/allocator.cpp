#include "base/allocator.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

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

void forget_code_pages() {
  std::ifstream status("/proc/self/status");
  bool traced = true;  // unless the kernel says otherwise
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("TracerPid:")) traced = line.find_first_of("123456789") != line.npos;
  if (traced) return;
  const auto forget_object = [](dl_phdr_info* object, size_t, void*) {
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const ElfW(Phdr) & part = object->dlpi_phdr[i];
      const bool code = part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && (part.p_flags & PF_W) == 0;
      if (code) forget_pages({reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr), part.p_memsz});
    }
    return 0;
  };
  dl_iterate_phdr(forget_object, nullptr);
}

uint64_t resident_bytes() {
  uint64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;  // pages
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace ingrain
