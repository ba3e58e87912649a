#include "ttt/page_place.h"

#include "base/error.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace ingrain::ttt {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, of Linux 5.14

char* map_pages(size_t size, int flags) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  require(at != MAP_FAILED, "a memory of {} bytes cannot be kept: {}", size, std::strerror(errno));
  return static_cast<char*>(at);
}

/// All pages at once cost a fraction of a fault each. Not more of them than `size` needs: what does not fill a huge
/// page has small ones.
char* populated(size_t size, Pages pages) {
  if (pages == Pages::small || size < kHugePage) return map_pages(size, MAP_POPULATE);
  char* const all = map_pages(size + kHugePage, 0);
  char* const begin = all + (kHugePage - reinterpret_cast<uintptr_t>(all) % kHugePage) % kHugePage;
  if (begin > all) ::munmap(all, static_cast<size_t>(begin - all));
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  char* const end = begin + (size + page - 1) / page * page;
  if (end < all + size + kHugePage) ::munmap(end, static_cast<size_t>(all + size + kHugePage - end));
  // Whatever the system refuses of this, pages come when they are written.
  ::madvise(begin, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  ::madvise(begin, static_cast<size_t>(end - begin), kPopulateWrite);
  return begin;
}

}  // namespace

PagePlace::PagePlace(uint64_t bytes, Pages pages) {
  const size_t size = std::max<uint64_t>(bytes, 1);
  pages_ = std::shared_ptr<char>(populated(size, pages), [size](char* at) { ::munmap(at, size); });
}

at::Tensor PagePlace::room(at::IntArrayRef sizes, at::ScalarType type) {
  const at::Tensor out =
      at::from_blob(pages_.get() + used_, sizes, [pages = pages_](void*) {}, at::TensorOptions().dtype(type));
  used_ += aligned(out.nbytes());
  return out;
}

at::Tensor PagePlace::copy(const at::Tensor& x) { return room(x.sizes(), x.scalar_type()).copy_(x); }

}  // namespace ingrain::ttt
