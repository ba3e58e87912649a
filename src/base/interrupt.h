// Ctrl-C, SIGTERM and SIGHUP as a question that long work asks between steps.
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

namespace ingrain {

/// Work that ended because it was told to, with its outcome as the text. A program's exit status is then 128 + the
/// signal.
class Stopped : public Error {
 public:
  using Error::Error;
};

/// From now on the first SIGINT, SIGTERM or SIGHUP sets a flag instead of killing the program and says at once, on
/// standard error, "stopping" and what is kept; nothing if `keeps` is empty. `ctrl_c`: what is said of SIGINT instead,
/// if that means something else. What is said begins where a progress bar stands, or on a line of its own after text.
/// Others within two seconds (`timeout` sends two) change nothing, unless the first was a SIGINT that means something
/// else and a SIGTERM or SIGHUP follows, which counts; one that comes later ends the program at once. A
/// signal that was ignored stays so (nohup). Call from a command; again, to forget what has come so far.
enum class Said { over_progress, after_text };
void watch_interrupts(std::string_view keeps = {}, Said where = Said::over_progress, std::string_view ctrl_c = {});

/// What is said from now on, of the signals that watch_interrupts() watches; what has come is not forgotten.
void announce_interrupts(std::string_view keeps, Said where = Said::over_progress, std::string_view ctrl_c = {});

/// A SIGINT that came is over, where it means something else; any other signal is not forgotten.
void forget_ctrl_c();

/// Whether one of them has come. Async-signal-safe, any thread.
bool interrupted();

/// Which: SIGINT, SIGTERM, SIGHUP; 0 if none.
int interrupt_signal();

/// Stopped, with this text, if one has come.
void stop_if_interrupted(std::string_view outcome);

/// Waits until a descriptor can be read or its other end is closed; `name` is its name in errors. Stopped if a signal
/// comes meanwhile: read() would go on waiting.
void wait_readable(int fd, const std::string& name);

}  // namespace ingrain
