// The program's commands. A command is one file here: it declares its options, parses, calls the library, prints.
// To add one: write src/cli/NAME.cpp with add_NAME_command, and put NAME into the list below.
#pragma once

#include <CLI/CLI.hpp>

/// Every command, in the order in which --help shows them.
// clang-format off: it never settles on one form of this
#define INGRAIN_COMMANDS(COMMAND) \
  COMMAND(demo) COMMAND(read) COMMAND(ask) COMMAND(chat) COMMAND(serve) COMMAND(generate) COMMAND(memory) COMMAND(models) \
  COMMAND(tokens) COMMAND(eval) COMMAND(import) COMMAND(export) COMMAND(quantize) COMMAND(retrofit) COMMAND(data) COMMAND(train) COMMAND(plan) COMMAND(study) COMMAND(bench) \
  COMMAND(verify) COMMAND(completion) COMMAND(man)
// clang-format on

namespace ingrain::cli {

/// void add_NAME_command(CLI::App& app), for each: adds one subcommand to `app`, with a callback that does the work and
/// throws ingrain::Error or UsageError.
#define INGRAIN_DECLARE(name) void add_##name##_command(CLI::App& app);
INGRAIN_COMMANDS(INGRAIN_DECLARE)
#undef INGRAIN_DECLARE

}  // namespace ingrain::cli
