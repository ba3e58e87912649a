// A progress line on standard error: bar, share, rate, time left. Silent where standard error is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ingrain {

/// Not thread-safe: one thread updates it. The line is erased by finish() or the destructor.
class Progress {
 public:
  /// `total` of 0 means unknown. `unit` is shown in the rate: "tokens" gives "512 tokens/s".
  Progress(std::string label, uint64_t total, std::string unit);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` units are done; `note` is appended. Redraws at most ten times a second.
  void update(uint64_t done, const std::string& note = {});
  void finish();

 private:
  std::string label_, unit_;
  uint64_t total_;
  bool shown_, drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_{};
};

/// "2:05", "1:02:03".
std::string format_duration(double seconds);

}  // namespace ingrain
