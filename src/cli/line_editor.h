// Lines from a person: with editing and history where the program was built with libedit, plainly otherwise.
#pragma once

#include <optional>
#include <string>

namespace ingrain::cli {

/// The next line of standard input, without its end; nothing at its end. `prompt` is shown to terminals only.
std::optional<std::string> read_line(const std::string& prompt);

}  // namespace ingrain::cli
