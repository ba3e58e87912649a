// The program: finds the command, runs it, and turns errors into exit statuses (docs/exit-codes.md).
#pragma once

#include <string>

namespace ingrain::cli {

/// What main() does: runs the command and ends the process with its status. `version`: what --version prints.
[[noreturn]] void run_program(const std::string& version, int argc, char** argv);

}  // namespace ingrain::cli
