#include "base/files.h"

#include "base/error.h"
#include "base/open_files.h"
#include "base/output.h"
#include "base/unfinished.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

/// An open descriptor of a regular file and its size.
struct OpenFile {
  int fd;
  uint64_t size;
};

OpenFile open_regular(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO would wait for its writer
  if (fd < 0) fail("{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail("{}: not a regular file", path.string());
  }
  return {fd, static_cast<uint64_t>(info.st_size)};
}

void write_all(int fd, const char* data, size_t size, const fs::path& path) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("{}: cannot write: {}; nothing was left behind", path.string(), std::strerror(errno));
    data += n;
    size -= static_cast<size_t>(n);
  }
}

}  // namespace

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  const auto [fd, size] = open_regular(path);
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  if (size > max_bytes) fail("{}: {} bytes; at most {} are accepted here", path.string(), size, max_bytes);
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(fd, out.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("{}: cannot read: {}", path.string(), std::strerror(errno));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  if (done != size) fail("{}: became shorter while it was read; try again", path.string());
  return out;
}

MappedFile::MappedFile(const fs::path& path) {
  const auto [fd, size] = open_regular(path);
  if (size > 0) {
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    if (at == MAP_FAILED) fail("{}: cannot map: {}", path.string(), std::strerror(error));
    data_ = static_cast<const uint8_t*>(at);
    size_ = size;
  } else {
    ::close(fd);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<uint8_t*>(data_), size_);
}

namespace {

/// where_written(). Error if renaming would replace something else.
fs::path place_of(const fs::path& path) {
  require(path.has_filename(), "'{}': names no file; name one", path.string());
  const fs::path place = where_written(path);
  require_regular_or_absent(path);
  return place;
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(place_of(path)) {
  remove_dead_unfinished(folder_of(path_));
  for (int tries = 0; tries < 3; ++tries) {
    temporary_ = unfinished_name(path_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) fail("{}: cannot write there: {}; choose another place", path_.string(), std::strerror(errno));
    if (lock_unfinished(fd_, temporary_)) return;
    ::close(std::exchange(fd_, -1));
  }
  fail("{}: cannot keep a file beside it; does something remove files there?", path_.string());
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(const void* data, size_t size) {
  write_all(fd_, static_cast<const char*>(data), size, path_);
  size_ += size;
}

void AtomicFile::write_at(uint64_t offset, const void* data, size_t size) {
  require(offset <= size_ && size <= size_ - offset, "{}: write_at beyond the end", path_.string());
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd_, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("{}: cannot write: {}; nothing was left behind", path_.string(), std::strerror(errno));
    from += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail("{}: cannot flush to disk: {}", path_.string(), std::strerror(errno));
  // Renamed before it is closed: closing ends the lock, and another writer would take the file for a dead one's.
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::close(std::exchange(fd_, -1));
    ::unlink(temporary_.c_str());
    fail("{}: cannot put the finished file in place: {}", path_.string(), std::strerror(error));
  }
  ::close(std::exchange(fd_, -1));  // nothing is left to be written: fsync has said so
  note_kept(path_);
  if (const int dir = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    ::fsync(dir);  // makes the rename itself durable; a file system that cannot is not an error
    ::close(dir);
  }
}

void require_writable(const fs::path& path) { const AtomicFile probe(path); }

void write_file(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace ingrain
