// One line of JSON a request: who, what, how long, how many tokens; never what was said.
#pragma once

#include "serve/api/api_error.h"

#include <filesystem>
#include <memory>
#include <mutex>

namespace ingrain::serve::api {

struct LogLine {
  std::string id, owner, method, path, peer;
  int status = 0;
  double milliseconds = 0;
  Json more = Json::object();  // tokens, why something was read again, an error's text
};

/// Thread-safe. A line that cannot be written is lost; requests go on.
class RequestLog {
 public:
  /// Empty: standard error. Error if the file cannot be opened for appending.
  explicit RequestLog(const std::filesystem::path& file);
  ~RequestLog();
  void write(const LogLine& line);

 private:
  std::mutex mutex_;
  int fd_;
};

/// The line's text, without its end. `unix_seconds`: when.
std::string log_text(const LogLine& line, double unix_seconds);

}  // namespace ingrain::serve::api
