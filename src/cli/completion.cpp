// ingrain completion: what a shell needs to complete commands, options and their words, generated from the
// declarations.
#include "cli/app_outline.h"
#include "cli/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

namespace ingrain::cli {
namespace {

std::string path_of(const CommandOutline& command, const char* between) {
  return fmt::format("{}", fmt::join(command.path, between));
}

std::vector<std::string> words_of(const CommandOutline& command) {
  std::vector<std::string> out;
  for (const CommandOutline& below : command.commands) out.push_back(below.path.back());
  for (const OptionOutline& option : command.options)
    if (!option.positional) out.insert(out.end(), option.names.begin(), option.names.end());
  return out;
}

/// Fit for single quotes of a shell, in one line.
std::string quoted(std::string text, const char* quote = "'\\''") {
  std::string out;
  for (const char c : text.substr(0, text.find('\n'))) out += c == '\'' ? quote : std::string(1, c);
  return out;
}

std::string for_bash(const CommandOutline& root) {
  std::string out =
      "# Completion of ingrain for bash: source <(ingrain completion bash)\n"
      "_ingrain() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path=ingrain i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n";
  for (const CommandOutline* command : all_commands(root))
    if (command != &root) out += fmt::format("      '{}') path+=\" ${{COMP_WORDS[i]}}\" ;;\n", path_of(*command, " "));
  out += "    esac\n  done\n  COMPREPLY=()\n  case \"$path $before\" in\n";
  for (const CommandOutline* command : all_commands(root))
    for (const OptionOutline& option : command->options) {
      if (option.positional || option.value.empty()) continue;
      std::vector<std::string> cases;
      for (const std::string& name : option.names)
        cases.push_back(fmt::format("'{} {}'", path_of(*command, " "), name));
      out += option.choices.empty()
                 ? fmt::format("    {}) return ;;\n", fmt::join(cases, " | "))
                 : fmt::format("    {}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\"); return ;;\n",
                               fmt::join(cases, " | "), fmt::join(option.choices, " "));
    }
  out += "  esac\n  case \"$path\" in\n";
  for (const CommandOutline* command : all_commands(root)) {
    const bool only_words = !command->commands.empty();
    out +=
        fmt::format("    '{}') {}mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\") ;;\n", path_of(*command, " "),
                    only_words ? "" : "[[ $word == -* ]] && ", fmt::join(words_of(*command), " "));
  }
  // Where nothing fits, bash goes on with names of files.
  return out + "  esac\n}\ncomplete -o default -F _ingrain ingrain\n";
}

std::string for_zsh(const CommandOutline& root) {
  std::string out =
      "#compdef ingrain\n"
      "# Completion of ingrain for zsh: ingrain completion zsh > ~/.zfunc/_ingrain, with ~/.zfunc in fpath\n"
      "_ingrain() {\n"
      "  local path_=ingrain i\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    case \"$path_ ${words[i]}\" in\n";
  for (const CommandOutline* command : all_commands(root))
    if (command != &root) out += fmt::format("      '{}') path_+=\" ${{words[i]}}\" ;;\n", path_of(*command, " "));
  out += "    esac\n  done\n  local -a known\n  case \"$path_ ${words[CURRENT-1]}\" in\n";
  for (const CommandOutline* command : all_commands(root))
    for (const OptionOutline& option : command->options) {
      if (option.positional || option.value.empty()) continue;
      std::vector<std::string> cases;
      for (const std::string& name : option.names)
        cases.push_back(fmt::format("'{} {}'", path_of(*command, " "), name));
      out += option.choices.empty() ? fmt::format("    {}) _files; return ;;\n", fmt::join(cases, "|"))
                                    : fmt::format("    {}) compadd -- {}; return ;;\n", fmt::join(cases, "|"),
                                                  fmt::join(option.choices, " "));
    }
  out += "  esac\n  case \"$path_\" in\n";
  const auto colon_safe = [](std::string text) {
    std::string escaped;
    for (const char c : text) escaped += c == ':' ? "\\:" : std::string(1, c);
    return quoted(escaped);
  };
  for (const CommandOutline* command : all_commands(root)) {
    out += fmt::format("    '{}') known=(", path_of(*command, " "));
    for (const CommandOutline& below : command->commands)
      out += fmt::format("'{}:{}' ", below.path.back(), colon_safe(below.what));
    for (const OptionOutline& option : command->options)
      if (!option.positional)
        for (const std::string& name : option.names) out += fmt::format("'{}:{}' ", name, colon_safe(option.what));
    out += ") ;;\n";
  }
  return out +
         "  esac\n"
         "  _describe -t commands 'ingrain' known\n"
         "  [[ ${words[CURRENT]} == -* || $path_ == ingrain ]] || _files\n"
         "}\n"
         "compdef _ingrain ingrain 2>/dev/null || _ingrain \"$@\"\n";
}

std::string for_fish(const CommandOutline& root) {
  std::string out =
      "# Completion of ingrain for fish: ingrain completion fish > ~/.config/fish/completions/ingrain.fish\n"
      "function __ingrain_path\n"
      "  set -l path ingrain\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    switch \"$path $word\"\n      case";
  for (const CommandOutline* command : all_commands(root))
    if (command != &root) out += fmt::format(" '{}'", path_of(*command, " "));
  out +=
      "\n        set path \"$path $word\"\n    end\n  end\n  test \"$path\" = \"$argv[1]\"\nend\n"
      "complete -c ingrain -n '__ingrain_path ingrain' -f\n";
  for (const CommandOutline* command : all_commands(root)) {
    const std::string when = fmt::format("complete -c ingrain -n '__ingrain_path \"{}\"'", path_of(*command, " "));
    for (const CommandOutline& below : command->commands)
      out += fmt::format("{} -f -a '{}' -d '{}'\n", when, below.path.back(), quoted(below.what, "\\'"));
    for (const OptionOutline& option : command->options) {
      if (option.positional) continue;
      out += when;
      for (const std::string& name : option.names)
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.value.empty()) out += " -r";
      if (!option.choices.empty()) out += fmt::format(" -f -a '{}'", fmt::join(option.choices, " "));
      out += fmt::format(" -d '{}'\n", quoted(option.what, "\\'"));
    }
  }
  return out;
}

}  // namespace

void add_completion_command(CLI::App& app) {
  auto* command = app.add_subcommand("completion", "Print what a shell needs to complete commands and options");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "Which shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n  source <(ingrain completion bash)\n  ingrain completion zsh > ~/.zfunc/_ingrain\n"
      "  ingrain completion fish > ~/.config/fish/completions/ingrain.fish");
  command->callback([&app, shell] {
    const CommandOutline root = outline(app);
    const std::string text = *shell == "bash" ? for_bash(root) : *shell == "zsh" ? for_zsh(root) : for_fish(root);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace ingrain::cli
