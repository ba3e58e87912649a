// ingrain completion: what a shell needs to complete commands, options and their words, generated from the
// declarations.
#include "cli/app_outline.h"
#include "cli/commands.h"
#include "cli/ranges.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

namespace ingrain::cli {
namespace {

std::string path_of(const CommandOutline& command, const char* between) {
  return fmt::format("{}", fmt::join(command.path, between));
}

/// What may stand where no option does: names of commands, or words of an argument. Where there are none, a file may.
std::vector<std::string> plain_words(const CommandOutline& command) {
  std::vector<std::string> out;
  for (const CommandOutline& below : command.commands) out.push_back(below.path.back());
  for (const OptionOutline& option : command.options)
    if (option.positional) out.insert(out.end(), option.choices.begin(), option.choices.end());
  return out;
}

std::vector<std::string> option_words(const CommandOutline& command) {
  std::vector<std::string> out;
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
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path=ingrain plain= options= i\n"
      "  [[ $word == = ]] && word=\n"  // "--learn=all" is three words here
      "  [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
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
  for (const CommandOutline* command : all_commands(root))
    out += fmt::format("    '{}') plain='{}' options='{}' ;;\n", path_of(*command, " "),
                       fmt::join(plain_words(*command), " "), fmt::join(option_words(*command), " "));
  // Where nothing fits, bash goes on with names of files.
  return out +
         "  esac\n"
         "  [[ $word == -* || -n $plain ]] && mapfile -t COMPREPLY < <(compgen -W \"$plain $options\" -- \"$word\")\n"
         "}\ncomplete -o default -F _ingrain ingrain\n";
}

/// "name:what it is", as _describe takes it.
std::string described(const std::string& name, const std::string& what) {
  std::string out = name + ":";
  for (const char c : what) out += c == ':' ? "\\:" : std::string(1, c);
  return "'" + quoted(out) + "' ";
}

std::string for_zsh(const CommandOutline& root) {
  std::string out =
      "#compdef ingrain\n"
      "# Completion of ingrain for zsh: ingrain completion zsh > ~/.zfunc/_ingrain, with ~/.zfunc in fpath\n"
      "_ingrain() {\n"
      "  local path_=ingrain before=${words[CURRENT-1]} i\n"
      "  if [[ $PREFIX == --*=* ]]; then before=${PREFIX%%=*}; compset -P '*='; fi\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    case \"$path_ ${words[i]}\" in\n";
  for (const CommandOutline* command : all_commands(root))
    if (command != &root) out += fmt::format("      '{}') path_+=\" ${{words[i]}}\" ;;\n", path_of(*command, " "));
  out += "    esac\n  done\n  local -a plain options\n  case \"$path_ $before\" in\n";
  for (const CommandOutline* command : all_commands(root))
    for (const OptionOutline& option : command->options) {
      if (option.positional || option.value.empty()) continue;
      std::vector<std::string> cases;
      for (const std::string& name : option.names)
        cases.push_back(fmt::format("'{} {}'", path_of(*command, " "), name));
      out += option.choices.empty() ? fmt::format("    {}) _files; return ;;\n", fmt::join(cases, "|"))
                                    : fmt::format("    {}) compadd -- '{}'; return ;;\n", fmt::join(cases, "|"),
                                                  fmt::join(option.choices, "' '"));
    }
  out += "  esac\n  case \"$path_\" in\n";
  for (const CommandOutline* command : all_commands(root)) {
    out += fmt::format("    '{}')\n      plain=(", path_of(*command, " "));
    for (const CommandOutline& below : command->commands) out += described(below.path.back(), below.what);
    for (const OptionOutline& option : command->options)
      if (option.positional)
        for (const std::string& word : option.choices) out += described(word, option.what);
    out += ")\n      options=(";
    for (const OptionOutline& option : command->options)
      if (!option.positional)
        for (const std::string& name : option.names) out += described(name, option.what);
    out += ") ;;\n";
  }
  // Sourced it is made known; read by compinit's first use of it, it is that use.
  return out +
         "  esac\n"
         "  if [[ $PREFIX == -* ]]; then _describe -o option options\n"
         "  elif (( $#plain )); then _describe word plain\n"
         "  else _files; fi\n"
         "}\n"
         "if [[ ${funcstack[1]} == _ingrain ]]; then _ingrain \"$@\"; else compdef _ingrain ingrain; fi\n";
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
      if (option.positional && option.choices.empty()) continue;
      out += when;
      for (const std::string& name : option.names)
        if (!option.positional) out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.positional && !option.value.empty()) out += " -r";
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
  command->add_option("SHELL", *shell, "Which shell")->required()->check(one_of({"bash", "zsh", "fish"}));
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
