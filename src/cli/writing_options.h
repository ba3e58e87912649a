// What the commands that write text share: sampling, when to stop, what to learn from.
#pragma once

#include "ingrain/generate.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace ingrain::cli {

struct WritingOptions {
  GenerateOptions options;

  /// Adds --max-tokens, --temperature, ..., --learn.
  void add_to(CLI::App& command);
  /// The options as given. UsageError naming the one that is out of range. Writing ends with the first Ctrl-C.
  GenerateOptions parse() const;

 private:
  std::string learn_ = "all";
  std::vector<std::string> biases_;
};

/// Writes to standard output at once, as text comes.
void show_text(std::string_view text);

}  // namespace ingrain::cli
