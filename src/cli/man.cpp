// ingrain man: manual pages from what --help says.
#include "base/error.h"
#include "base/files.h"
#include "base/unfinished.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/app_outline.h"
#include "cli/commands.h"

#include <cstdio>
#include <filesystem>

namespace ingrain::cli {
namespace {

/// Text as roff prints it: a backslash and a hyphen are characters, no line begins with a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return out;
}

std::string name_of(const CommandOutline& command) { return fmt::format("{}", fmt::join(command.path, "-")); }

std::string synopsis(const CommandOutline& command) {
  std::string out = ".B " + roff(fmt::format("{}", fmt::join(command.path, " "))) + "\n";
  for (const OptionOutline& option : command.options)
    if (option.positional)
      out += (option.required ? ".I " : ".RI [ ") + roff(option.names[0]) + (option.several ? "..." : "") +
             (option.required ? "\n" : " ]\n");
  for (const OptionOutline& option : command.options)
    if (!option.positional && option.required)
      out += ".B " + roff(option.names[0]) + "\n.I " + roff(option.value) + "\n";
  out += command.commands.empty() ? "[options]\n" : ".I COMMAND\n";
  return out;
}

std::string paragraph(const OptionOutline& option) {
  std::string tag;
  for (const std::string& name : option.names) tag += (tag.empty() ? "" : ", ") + roff(name);
  std::string out = ".TP\n.B " + tag;
  if (!option.positional && !option.value.empty()) {
    std::string choices;  // a line may end behind each
    for (const std::string& choice : option.choices) choices += (choices.empty() ? "" : "|\\:") + roff(choice);
    out += " " + (choices.empty() ? roff(option.value) : choices);
  }
  out += "\n" + roff(option.what.empty() ? "(see above)" : option.what);
  if (!option.positional && option.required) out += " (required)";
  if (!option.fallback.empty()) out += roff(fmt::format(" (default: {})", option.fallback));
  return out + "\n";
}

std::string page(const CommandOutline& command, const std::string& version) {
  const std::string title = in_ascii_upper(name_of(command));
  std::string out = fmt::format(".TH \"{}\" 1 \"\" \"{}\" \"ingrain\"\n", roff(title), roff(version));
  std::string_view what = command.what;  // the program's begins with its name
  if (const std::string prefix = name_of(command) + ": "; what.starts_with(prefix)) what.remove_prefix(prefix.size());
  out += fmt::format(".SH NAME\n{} \\- {}\n", roff(name_of(command)), roff(what));
  out += ".SH SYNOPSIS\n" + synopsis(command);
  std::string arguments, options;
  for (const OptionOutline& option : command.options) (option.positional ? arguments : options) += paragraph(option);
  if (!arguments.empty()) out += ".SH ARGUMENTS\n" + arguments;
  if (!options.empty()) out += ".SH OPTIONS\n" + options;
  if (!command.commands.empty()) {
    out += ".SH COMMANDS\n";
    for (const CommandOutline& below : command.commands)
      out += fmt::format(".TP\n.BR {} (1)\n{}\n", roff(name_of(below)), roff(below.what));
  }
  if (!command.footer.empty()) out += ".SH NOTES\n.nf\n" + roff(command.footer) + "\n.fi\n";
  if (command.path.size() > 1) out += ".SH SEE ALSO\n.BR ingrain (1)\n";
  return out;
}

void write_pages(const CommandOutline& root, const std::string& folder, const std::string& version) {
  UnfinishedFolder made(folder, /*may_hold_files=*/true);
  const auto commands = all_commands(root);
  for (const CommandOutline* command : commands)
    write_file(made.path() / (name_of(*command) + ".1"), page(*command, version));
  made.commit();
  std::printf("%s: %zu pages; man -l %s/ingrain.1 shows the first\n", folder.c_str(), commands.size(), folder.c_str());
}

struct ManCommand {
  std::string output;
  std::vector<std::string> command;
};

void print_page(const CommandOutline& root, const std::vector<std::string>& words, const std::string& version) {
  const CommandOutline* at = &root;
  for (const std::string& word : words) {
    std::vector<std::string> known;
    const CommandOutline* next = nullptr;
    for (const CommandOutline& below : at->commands) {
      known.push_back(below.path.back());
      if (below.path.back() == word) next = &below;
    }
    if (!next) fail_usage("there is no command '{}'{}", printable(word), did_you_mean(word, known));
    at = next;
  }
  const std::string text = page(*at, version);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

void add_man_command(CLI::App& app) {
  auto* command = app.add_subcommand("man", "Print a manual page, or write all of them");
  auto o = std::make_shared<ManCommand>();
  command->add_option("COMMAND", o->command, "Whose page (default: of the program)");
  command->add_option("-o,--output", o->output, "Write all pages into this folder");
  command->footer("Examples:\n  ingrain man read | man -l -\n  ingrain man -o ~/.local/share/man/man1");
  command->callback([&app, o] {
    const CommandOutline root = outline(app);
    const std::string version = app.version();
    if (o->output.empty()) return print_page(root, o->command, version);
    if (!o->command.empty()) fail_usage("--output writes every page; leave the command out");
    write_pages(root, o->output, version);
  });
}

}  // namespace ingrain::cli
