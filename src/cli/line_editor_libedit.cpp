#include "cli/line_editor.h"

#include <editline/readline.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

namespace ingrain::cli {
namespace {

/// Where the lines typed before are kept between runs: readable by their writer alone.
std::filesystem::path history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state && *state) return std::filesystem::path(state) / "ingrain/history";
  return home && *home ? std::filesystem::path(home) / ".local/state/ingrain/history" : std::filesystem::path();
}

class History {
 public:
  History() : file_(history_file()) {
    using_history();
    stifle_history(1000);
    if (!file_.empty()) read_history(file_.c_str());
  }
  void add(const char* line) {
    add_history(line);
    if (file_.empty()) return;
    std::error_code ignored;  // without a place for it there is no history, and that is no reason to stop
    std::filesystem::create_directories(file_.parent_path(), ignored);
    write_history(file_.c_str());
    std::filesystem::permissions(file_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
                                 ignored);
  }

 private:
  std::filesystem::path file_;
};

}  // namespace

std::optional<std::string> read_line(const std::string& prompt) {
  if (!::isatty(STDIN_FILENO)) {
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  static History history;
  const std::unique_ptr<char, void (*)(void*)> line(::readline(prompt.c_str()), std::free);
  if (!line) return std::nullopt;
  if (*line.get()) history.add(line.get());
  return std::string(line.get());
}

}  // namespace ingrain::cli
