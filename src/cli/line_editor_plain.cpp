#include "cli/key_input.h"
#include "cli/line_editor.h"

#include <unistd.h>

#include <cstdio>

namespace ingrain::cli {

Line read_line(const std::string& prompt) {
  if (::isatty(STDIN_FILENO)) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
  }
  return read_plain_line();
}

}  // namespace ingrain::cli
