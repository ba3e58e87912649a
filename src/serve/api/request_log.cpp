#include "serve/api/request_log.h"

#include "base/clock.h"
#include "base/open_files.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <ctime>

namespace ingrain::serve::api {

std::string log_text(const LogLine& line, double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  const auto milliseconds = static_cast<int>((unix_seconds - std::floor(unix_seconds)) * 1000);
  Json out = {{"time", fmt::format("{}.{:03}Z", date, milliseconds)},
              {"id", line.id},
              {"owner", line.owner},
              {"peer", line.peer},
              {"method", line.method},
              {"path", line.path},
              {"status", line.status},
              {"ms", std::round(line.milliseconds * 10) / 10}};
  out.update(line.more);
  return dump(out);
}

RequestLog::RequestLog(const std::filesystem::path& file) : fd_(STDERR_FILENO) {
  if (file.empty()) return;
  try {
    fd_ = open_to_append(file, 0640);
  } catch (const Error& e) {
    fail("{}; name another log with --log", e.what());
  }
}

RequestLog::~RequestLog() {
  if (fd_ != STDERR_FILENO) ::close(fd_);
}

void RequestLog::write(const LogLine& line) {
  const double now = unix_time();
  const std::string text = log_text(line, now) + "\n";
  const std::lock_guard lock(mutex_);
  if (::write(fd_, text.data(), text.size()) < 0) return;  // a full disk ends no answer
}

}  // namespace ingrain::serve::api
