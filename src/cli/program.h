// The program: finds the command, runs it, and turns errors into exit statuses (docs/exit-codes.md).
#pragma once

#include <string>

namespace ingrain::cli {

/// What main() does, to the exit status; once in a process. `version`: what --version prints.
int run_program(const std::string& version, int argc, char** argv);

}  // namespace ingrain::cli
