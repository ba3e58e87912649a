#include "base/shared_file.h"

#include "base/error.h"
#include "base/open_files.h"
#include "base/output.h"
#include "base/unfinished.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ingrain {

namespace fs = std::filesystem;

SharedFile::SharedFile(fs::path path, fs::path unfinished, int fd)
    : path_(std::move(path)), unfinished_(std::move(unfinished)), fd_(fd) {}

SharedFile::SharedFile(SharedFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      unfinished_(std::exchange(other.unfinished_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

SharedFile::~SharedFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!path_.empty()) ::unlink(unfinished_.c_str());
}

SharedFile SharedFile::make(const fs::path& path, uint64_t size) {
  const fs::path place = where_written(path);
  require_regular_or_absent(path);
  remove_dead_unfinished(folder_of(place));
  require_space(place, size, "it");
  const fs::path unfinished = unfinished_name(place);
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  require(fd >= 0, "{}: cannot write there: {}; choose another place", place.string(), std::strerror(errno));
  SharedFile out(place, unfinished, fd);
  require(lock_unfinished(fd, unfinished), "{}: cannot keep a file beside it; does something remove files there?",
          place.string());
  require(::ftruncate(fd, static_cast<off_t>(size)) == 0, "{}: cannot write: {}", place.string(), std::strerror(errno));
  return out;
}

SharedFile SharedFile::join(const fs::path& unfinished) {
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  require(fd >= 0, "{}: cannot be opened here: {}; processes on several machines need a folder that all of them see",
          unfinished.string(), std::strerror(errno));
  return {{}, unfinished, fd};
}

void SharedFile::write_at(uint64_t offset, const void* data, uint64_t size) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd_, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    require(n > 0, "{}: cannot write: {}", unfinished_.string(), std::strerror(errno));
    from += n, offset += static_cast<uint64_t>(n), size -= static_cast<uint64_t>(n);
  }
}

void SharedFile::flush() {
  require(::fsync(fd_) == 0, "{}: cannot flush to disk: {}", unfinished_.string(), std::strerror(errno));
}

void SharedFile::commit() {
  flush();
  // Renamed before it is closed, as in AtomicFile: closing ends the lock.
  require(::rename(unfinished_.c_str(), path_.c_str()) == 0, "{}: cannot put the finished file in place: {}",
          path_.string(), std::strerror(errno));
  ::close(std::exchange(fd_, -1));
  note_kept(path_);
  if (const int dir = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
}

}  // namespace ingrain
