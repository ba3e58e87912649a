#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ingrain {
namespace {

constexpr int kBarCells = 24;

std::string bar(double share) {
  static const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int parts = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarCells * 8);
  std::string out;
  for (int i = 0; i < parts / 8; ++i) out += "█";
  int cells = parts / 8;
  if (parts % 8) out += eighths[parts % 8], ++cells;
  return out + std::string(static_cast<size_t>(kBarCells - cells), ' ');
}

}  // namespace

std::string format_duration(double seconds) {
  const long s = std::lround(std::max(0.0, seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(std::string label, uint64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      shown_(::isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()) {}

void Progress::update(uint64_t done, const std::string& note) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && done < total_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = "\r\033[K" + label_;
  if (total_ > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    line += fmt::format(" |{}| {:3.0f}%", bar(share), 100 * share);
  } else {
    line += fmt::format(" {} {}", done, unit_);
  }
  line += fmt::format("  {:.4g} {}/s", rate, unit_);
  if (total_ > done && rate > 0) line += "  " + format_duration(static_cast<double>(total_ - done) / rate) + " left";
  if (!note.empty()) line += "  " + note;
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void Progress::finish() {
  if (drawn_) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
  drawn_ = false;
}

}  // namespace ingrain
