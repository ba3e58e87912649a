#include "cli/command_line.h"

#include "base/text.h"
#include "cli/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace ingrain::cli {
namespace {

std::vector<std::string> names_of_commands(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out.push_back(command->get_name());
  return out;
}

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() ? full_name(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

/// The command that the words name, as far as they name one; `at`: the first word after it.
const CLI::App& command_of(const CLI::App& app, int argc, char** argv, int& at) {
  if (at >= argc) return app;
  const std::string word = argv[at];
  const auto below = app.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; });
  return below.empty() ? app : command_of(*below.front(), argc, argv, ++at);
}

std::string unknown_option(const CLI::App& command, int argc, char** argv, int at) {
  const std::vector<std::string> known = names_of_options(command);
  for (; at < argc; ++at) {
    const std::string word(argv[at]), name = word.substr(0, word.find('='));
    if (name == "--") break;
    if (!name.starts_with("--") || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return fmt::format("{} has no option {}{}; {} --help lists them", full_name(command), printable(name),
                       did_you_mean(name, known), full_name(command));
  }
  return "";
}

/// Options that name a file, folder or model. Empty they are a script's variable that was never set: without this,
/// nothing would be saved, or nothing remembered, and nothing said.
constexpr std::string_view kNaming[] = {"output", "out",   "save", "memory", "model",     "tokenizer", "config",
                                        "text",   "keys",  "vs",   "store",  "questions", "MEMORY",    "DIR",
                                        "OTHER",  "MODEL", "TEXT", "SOURCE", "FILES"};

void refuse_empty_names(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) refuse_empty_names(*command);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 0) continue;  // a flag
    const std::string name = option->get_lnames().empty() ? option->get_name() : option->get_lnames().front();
    if (std::find(std::begin(kNaming), std::end(kNaming), name) == std::end(kNaming)) continue;
    option->check([](const std::string& text) { return text.empty() ? "is empty; it must name something" : ""; });
  }
}

}  // namespace

std::unique_ptr<CLI::App> make_app(const std::string& version) {
  auto app = std::make_unique<CLI::App>("ingrain: language models that learn what they read");
  app->name("ingrain");
  app->require_subcommand(1);
  app->set_version_flag("--version", version);
  app->footer("Each command explains itself: ingrain COMMAND --help, or ingrain help COMMAND");
#define INGRAIN_ADD(name) add_##name##_command(*app);
  INGRAIN_COMMANDS(INGRAIN_ADD)
#undef INGRAIN_ADD
  refuse_empty_names(*app);
  return app;
}

std::vector<char*> with_help_at_end(int argc, char** argv) {
  static char flag[] = "--help";
  std::vector<char*> out(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    out.erase(out.begin() + 1);
    if (std::none_of(out.begin() + 1, out.end(), [](const char* word) { return word[0] == '-'; })) out.push_back(flag);
  }
  out.push_back(nullptr);
  return out;
}

std::string flag_of(const std::string& option) {
  if (option == "overrides") return "--set";
  std::string out = "--" + option;
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  int at = 1;
  const CLI::App& command = command_of(app, argc, argv, at);
  const std::vector<std::string> commands = names_of_commands(command);
  if (commands.empty() || at >= argc || argv[at][0] == '-') return "";
  return fmt::format("there is no command '{}'{}; {} --help lists them", printable(argv[at]),
                     did_you_mean(argv[at], commands), full_name(command));
}

std::string explain(const CLI::App& app, int argc, char** argv, const CLI::ParseError& error) {
  if (std::string unknown = unknown_command(app, argc, argv); !unknown.empty()) return unknown;
  int at = 1;
  const CLI::App& command = command_of(app, argc, argv, at);
  if (const std::string unknown = unknown_option(command, argc, argv, at); !unknown.empty()) return unknown;
  return fmt::format("{}\n{} --help explains the command", error.what(), full_name(command));
}

}  // namespace ingrain::cli
