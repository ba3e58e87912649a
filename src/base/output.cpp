#include "base/output.h"

#include "base/error.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <mutex>

namespace ingrain {
namespace {

std::mutex g_kept_mutex;
std::filesystem::path g_kept;

[[noreturn]] void fail_output(int error) {
  const std::scoped_lock lock(g_kept_mutex);
  fail("standard output: cannot be written whole{}{}{}", error ? ": " : "", error ? std::strerror(error) : "",
       g_kept.empty() ? "" : fmt::format(" ({} was made before, and is whole)", g_kept.string()));
}

}  // namespace

void guard_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      // The lowest free number is this one. Opened the wrong way round: using it fails, as it would have.
      (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  std::signal(SIGPIPE, SIG_IGN);
}

void note_kept(const std::filesystem::path& path) {
  const std::scoped_lock lock(g_kept_mutex);
  g_kept = path;
}

void put(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) fail_output(errno);
}

void finish_output() {
  errno = 0;
  std::cout.flush();
  const bool lost = std::fflush(stdout) != 0;
  const int error = errno;
  if (lost || std::ferror(stdout) != 0 || std::cout.fail()) fail_output(error);
}

}  // namespace ingrain
