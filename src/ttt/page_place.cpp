#include "ttt/page_place.h"

#include "base/error.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ingrain::ttt {

PagePlace::PagePlace(uint64_t bytes) {
  const size_t size = std::max<uint64_t>(bytes, 1);
  // Populated: all pages at once cost a fraction of a fault each.
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  require(at != MAP_FAILED, "a memory of {} bytes cannot be kept: {}", bytes, std::strerror(errno));
  pages_ = std::shared_ptr<char>(static_cast<char*>(at), [size](char* pages) { ::munmap(pages, size); });
}

at::Tensor PagePlace::room(at::IntArrayRef sizes, at::ScalarType type) {
  const at::Tensor out =
      at::from_blob(pages_.get() + used_, sizes, [pages = pages_](void*) {}, at::TensorOptions().dtype(type));
  used_ += aligned(out.nbytes());
  return out;
}

at::Tensor PagePlace::copy(const at::Tensor& x) { return room(x.sizes(), x.scalar_type()).copy_(x); }

}  // namespace ingrain::ttt
