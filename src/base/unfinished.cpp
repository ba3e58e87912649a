#include "base/unfinished.h"

#include "base/error.h"
#include "base/open_files.h"
#include "base/output.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether a name ends as unfinished_name() makes them, and as nobody else does: what has it is removed.
bool is_unfinished(std::string_view name) {
  for (const std::string_view kind : {".ingrain-tmp-", ".ingrain-partial-"}) {
    const size_t at = name.rfind(kind);
    if (at == name.npos || at == 0) continue;
    const std::string_view numbers = name.substr(at + kind.size());
    const size_t dash = numbers.find('-');
    if (dash != numbers.npos && is_number(numbers.substr(0, dash)) && is_number(numbers.substr(dash + 1))) return true;
  }
  return false;
}

void remove_if_dead(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  struct stat info{};
  const bool ours = ::fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
  if (ours && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ::close(fd);
}

}  // namespace

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

fs::path unfinished_name(const fs::path& path, const char* kind) {
  static std::atomic<unsigned> counter{0};
  fs::path out = path;
  out += fmt::format(".ingrain-{}-{}-{}", kind, ::getpid(), counter++);
  return out;
}

bool lock_unfinished(int fd, const fs::path& path) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  struct stat held{}, there{};
  return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &there) == 0 && held.st_ino == there.st_ino &&
         held.st_dev == there.st_dev;
}

void remove_dead_unfinished(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (is_unfinished(at->path().filename().string())) remove_if_dead(at->path());
}

void require_space(const fs::path& path, uint64_t bytes, const char* what) {
  std::error_code unknown;
  const fs::space_info space = fs::space(folder_of(path), unknown);
  require(unknown || space.available >= bytes,
          "{}: {} needs {}, and {} are free there; choose another place, or make room", path.string(), what,
          format_bytes(bytes), format_bytes(space.available));
}

UnfinishedFolder::UnfinishedFolder(const fs::path& final_path, bool may_hold_files)
    : final_(folder_where_written(final_path)) {  // no folder can be renamed onto a link
  require(final_.has_filename(), "'{}': names no folder that could be made; name one", final_path.string());
  std::error_code error;
  const bool there = fs::exists(final_, error), folder = fs::is_directory(final_, error);
  require(!there || folder, "{}: exists already and is no folder; choose another place", final_.string());
  if (there && !may_hold_files)
    require(fs::is_empty(final_, error) && !error, "{}: exists already; choose another folder, or remove it first",
            final_.string());
  above_.emplace(folder_of(final_), "choose another place");
  remove_dead_unfinished(folder_of(final_));
  for (int tries = 0; tries < 3; ++tries) {
    unfinished_ = unfinished_name(final_, "partial");
    const bool made = ::mkdir(unfinished_.c_str(), 0777) == 0;  // apart: arguments have no order, and errno needs one
    require(made, "{}: cannot write there: {}; choose another place", final_.string(), std::strerror(errno));
    lock_ = ::open(unfinished_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ >= 0 && lock_unfinished(lock_, unfinished_)) return;
    if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  }
  fail("{}: cannot keep a folder beside it; does something remove files there?", final_.string());
}

UnfinishedFolder::~UnfinishedFolder() {
  std::error_code ignored;
  if (!unfinished_.empty()) fs::remove_all(unfinished_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void UnfinishedFolder::commit() {
  std::error_code error;
  if (fs::is_directory(final_, error) && !fs::is_empty(final_, error)) {
    for (const auto& entry : fs::directory_iterator(unfinished_))  // before the first is put in place
      require_regular_or_absent(final_ / entry.path().filename());
    for (const auto& entry : fs::directory_iterator(unfinished_)) {
      fs::rename(entry.path(), final_ / entry.path().filename(), error);
      require(!error, "{}: cannot put it in place: {}", (final_ / entry.path().filename()).string(), error.message());
    }
    fs::remove(unfinished_, error);
  } else {
    fs::rename(unfinished_, final_, error);
    require(!error, "{}: cannot put the finished folder in place: {}", final_.string(), error.message());
  }
  unfinished_.clear();
  note_kept(final_);
}

}  // namespace ingrain
