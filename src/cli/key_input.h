// Bytes of standard input as they come, with what may come in between: a signal, a paste.
#pragma once

#include <optional>
#include <string>

namespace ingrain::cli {

/// Reads standard input byte by byte. While one lives, Ctrl-C is told by read(), and does nothing else; one that lives
/// around others keeps a Ctrl-C that comes between them for the next.
class KeyInput {
 public:
  KeyInput();
  ~KeyInput();
  KeyInput(const KeyInput&) = delete;
  KeyInput& operator=(const KeyInput&) = delete;

  enum class Event { byte, cancelled, end };
  /// The next byte into `byte`; or that Ctrl-C came, on a terminal also before this lived (until the program watches
  /// anew); or the input's end, SIGTERM or SIGHUP.
  Event read(char& byte);
  /// The rest of a paste that "\x1b[200~" began, without its end mark, of at most 1 MiB.
  std::string read_paste();
  /// Whether `expected` comes next, within some milliseconds; then it is taken.
  bool take(const std::string& expected);

 private:
  bool wait(int milliseconds);

  struct Actions;
  Actions* before_;
};

/// What read_line() does where no editor is: the bytes up to the end of the line.
struct Line read_plain_line();

}  // namespace ingrain::cli
