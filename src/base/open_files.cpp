#include "base/open_files.h"

#include "base/error.h"
#include "base/unfinished.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace ingrain {

namespace fs = std::filesystem;

void require_regular_or_absent(const fs::path& path) {
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  require(there.type() != fs::file_type::directory, "{}: is a folder; name a file in it", path.string());
  require(!fs::exists(there) || there.type() == fs::file_type::regular,
          "{}: is not a regular file but a device, FIFO or socket; name a file", path.string());
}

fs::path where_written(const fs::path& path) {
  constexpr int kMaxLinks = 16;
  fs::path place = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(place, error); ++links) {
    require(links < kMaxLinks, "{}: a link that leads round in a circle", path.string());
    const fs::path target = fs::read_symlink(place, error);
    require(!error, "{}: cannot follow this link: {}", path.string(), error.message());
    place = target.is_absolute() ? target : folder_of(place) / target;
  }
  return place;
}

fs::path folder_where_written(const fs::path& folder) {
  const auto without_slash = [](const fs::path& path) { return path.has_filename() ? path : path.parent_path(); };
  return without_slash(where_written(without_slash(folder)));
}

int open_to_append(const fs::path& path, unsigned mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, mode);
  require(fd >= 0 || errno != ENXIO, "{}: is a FIFO that nobody reads, or a device that is not there", path.string());
  require(fd >= 0, "{}: cannot be written to: {}", path.string(), std::strerror(errno));
  ::fcntl(fd, F_SETFL, O_APPEND);  // from here on a full pipe makes the writer wait
  return fd;
}

}  // namespace ingrain
