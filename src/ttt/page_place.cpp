#include "ttt/page_place.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ingrain::ttt {
namespace {

std::shared_ptr<char> mapping(void* at, size_t size) {
  return {static_cast<char*>(at), [size](char* pages) { ::munmap(pages, size); }};
}

at::Tensor tensor_at(const std::shared_ptr<char>& pages, uint64_t at, at::IntArrayRef sizes, at::ScalarType type) {
  return at::from_blob(pages.get() + at, sizes, [pages](void*) {}, at::TensorOptions().dtype(type));
}

}  // namespace

PagePlace::PagePlace(uint64_t bytes) {
  const size_t size = std::max<uint64_t>(bytes, 1);
  // Populated: all pages at once cost a fraction of a fault each.
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  require(at != MAP_FAILED, "a memory of {} bytes cannot be kept: {}", bytes, std::strerror(errno));
  pages_ = mapping(at, size);
}

at::Tensor PagePlace::room(at::IntArrayRef sizes, at::ScalarType type) {
  const at::Tensor out = tensor_at(pages_, used_, sizes, type);
  used_ += aligned(out.nbytes());
  return out;
}

at::Tensor PagePlace::copy(const at::Tensor& x) { return room(x.sizes(), x.scalar_type()).copy_(x); }

FilePages::FilePages(const std::filesystem::path& path, uint64_t size, uint64_t begin, uint64_t end) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  begin_ = begin / page * page;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat info{};
  const bool same = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) == size;
  // Who reads through it has the kernel map many pages a fault; all at once would cost more.
  void* const at =
      same ? ::mmap(nullptr, end - begin_, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, static_cast<off_t>(begin_))
           : MAP_FAILED;
  const int error = errno;
  ::close(fd);
  require(same, "{}: changed while it was read; try again", path.string());
  require(at != MAP_FAILED, "{}: cannot map: {}", path.string(), std::strerror(error));
  ::madvise(at, end - begin_, MADV_WILLNEED);
  pages_ = mapping(at, end - begin_);
}

at::Tensor FilePages::view(uint64_t at, at::IntArrayRef sizes, at::ScalarType type) const {
  return tensor_at(pages_, at - begin_, sizes, type);
}

}  // namespace ingrain::ttt
