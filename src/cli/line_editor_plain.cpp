#include "cli/line_editor.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace ingrain::cli {

std::optional<std::string> read_line(const std::string& prompt) {
  if (::isatty(STDIN_FILENO)) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
  }
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

}  // namespace ingrain::cli
