// The commands and options as data, for what is generated from them: completions and manual pages.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace ingrain::cli {

struct OptionOutline {
  std::vector<std::string> names;     // "-o", "--output"; of a positional its name alone
  std::string value, what, fallback;  // what its value is called (empty: a flag), its description, its default
  std::vector<std::string> choices;   // words that the value may be, where only those are
  bool positional = false, required = false, several = false;
};

struct CommandOutline {
  std::vector<std::string> path;  // {"ingrain", "memory", "info"}
  std::string what, footer;
  std::vector<OptionOutline> options;  // --help among them
  std::vector<CommandOutline> commands;
};

/// All of `app`, as it is declared.
CommandOutline outline(const CLI::App& app);

/// It and all below it, from above.
std::vector<const CommandOutline*> all_commands(const CommandOutline& root);

}  // namespace ingrain::cli
