// The program's commands. A command is one file here: it declares its options, parses, calls the library, prints.
// To add one: write its file, declare it below, add a row to kCommands in main.cpp.
#pragma once

#include <CLI/CLI.hpp>

namespace ingrain::cli {

/// Adds one subcommand to `app`, with a callback that does the work and throws ingrain::Error or UsageError.
using AddCommand = void (*)(CLI::App& app);

void add_ask_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_demo_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_generate_command(CLI::App& app);
void add_import_command(CLI::App& app);
void add_memory_command(CLI::App& app);
void add_read_command(CLI::App& app);
void add_retrofit_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_verify_command(CLI::App& app);

}  // namespace ingrain::cli
