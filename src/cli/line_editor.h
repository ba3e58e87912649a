// Lines from a person: with editing and history where the program was built with libedit, plainly otherwise.
#pragma once

#include <string>

namespace ingrain::cli {

struct Line {
  enum Kind {
    text,
    cancelled,  // Ctrl-C: what was typed is gone
    end,        // of the input, or SIGTERM or SIGHUP came (interrupted() then)
  } kind = end;
  std::string said = {};  // without its end; of several lines where they were pasted together
  bool typed = false;     // of a cancelled one: keys were pressed before, as far as the editor sees them
};

/// The next line of standard input. `prompt` is shown to terminals only. A terminal's paste of several lines is one
/// (bracketed paste). REQUIRES: watch_interrupts() was called.
Line read_line(const std::string& prompt);

}  // namespace ingrain::cli
