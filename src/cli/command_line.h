// The command line as a whole: every command, what is said of what it does not know.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace ingrain::cli {

/// The program's commands and options. `version`: what --version prints.
std::unique_ptr<CLI::App> make_app(const std::string& version);

/// The program's words, ended by a null pointer: "ingrain help data prepare" is "ingrain data prepare --help".
std::vector<char*> with_help_at_end(int argc, char** argv);

/// How an option of the library (OptionError) is spelt here: "max_tokens" is --max-tokens.
std::string flag_of(const std::string& option);

/// Which word names no command, with the nearest that does; empty if all do. Asking for help does not hide it.
std::string unknown_command(const CLI::App& app, int argc, char** argv);

/// What is wrong with the words that `app` could not parse, in one or more lines for a person: names what is unknown
/// and the nearest that is known.
std::string explain(const CLI::App& app, int argc, char** argv, const CLI::ParseError& error);

}  // namespace ingrain::cli
