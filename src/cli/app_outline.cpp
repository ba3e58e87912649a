#include "cli/app_outline.h"

namespace ingrain::cli {
namespace {

/// The words of "{a,b,c}" in a type's name, as one_of() writes it.
std::vector<std::string> choices_of(const std::string& type) {
  const size_t open = type.find('{'), close = type.find('}');
  std::vector<std::string> out;
  if (open == type.npos || close == type.npos || close < open) return out;
  std::string words = type.substr(open + 1, close - open - 1);
  for (size_t comma; !words.empty(); words.erase(0, comma == words.npos ? comma : comma + 1)) {
    comma = words.find(',');
    out.push_back(words.substr(0, comma));
  }
  return out;
}

OptionOutline outline(const CLI::Option& option) {
  OptionOutline out;
  out.positional = option.nonpositional() == false;
  if (out.positional) {
    out.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  }
  const std::string type = option.get_type_name();
  if (option.get_expected_max() != 0) {  // no flag
    out.value = type.substr(0, type.find_first_of(": "));
    if (out.value.empty()) out.value = "TEXT";
  }
  out.choices = choices_of(type);
  out.what = option.get_description();
  out.fallback = option.get_default_str();
  out.required = option.get_required();
  out.several = option.get_items_expected_max() > 1;
  return out;
}

CommandOutline outline(const CLI::App& app, std::vector<std::string> path) {
  CommandOutline out;
  path.push_back(app.get_name());
  out.path = path;
  out.what = app.get_description();
  out.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options()) out.options.push_back(outline(*option));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out.commands.push_back(outline(*command, path));
  return out;
}

void collect(const CommandOutline& command, std::vector<const CommandOutline*>& out) {
  out.push_back(&command);
  for (const CommandOutline& below : command.commands) collect(below, out);
}

}  // namespace

CommandOutline outline(const CLI::App& app) { return outline(app, {}); }

std::vector<const CommandOutline*> all_commands(const CommandOutline& root) {
  std::vector<const CommandOutline*> out;
  collect(root, out);
  return out;
}

}  // namespace ingrain::cli
