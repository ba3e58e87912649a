#include "cli/file_options.h"

#include "base/counted.h"
#include "base/text.h"

#include <cstdio>

namespace ingrain::cli {

void FileOptions::add_to(CLI::App& command, const std::vector<CLI::Option*>& for_work) {
  command.add_flag("--no-ignore", no_ignore,
                   "Of folders also what .gitignore names, and what machines wrote (lock files, node_modules, build)");
  command.add_flag("--verbose", verbose, "Say of each file whether it is read, or why not");
  command.add_flag_callback(
      "--dry-run",
      [this, for_work] {
        dry_run = true;
        for (CLI::Option* const option : for_work) option->required(false);
      },
      "Say that and do nothing else");
}

void FileOptions::tell(const data::FileList& list) const {
  std::FILE* const to = dry_run ? stdout : stderr;
  if (verbose || dry_run)
    for (const auto& file : list.files) std::fprintf(to, "read      %s\n", printable(file.string(), 4096).c_str());
  for (const data::LeftOut& one : list.left_out)
    if (verbose || dry_run || one.trouble)
      std::fprintf(to, "left out  %s%s: %s\n", printable(one.path.string(), 4096).c_str(), one.folder ? "/" : "",
                   printable(one.why, 300).c_str());
  if (dry_run)
    std::fprintf(to, "%s would be read%s\n", counted(std::ssize(list.files), "file").c_str(),
                 list.left_out.empty() ? "" : ("; left out: " + data::count_left_out(list)).c_str());
}

void add_document_options(CLI::App& command, data::DocumentOptions& documents) {
  command.add_option("--field", documents.field, "Field of a JSONL line that holds the text")->capture_default_str();
  command.add_option("--ext", documents.files.extensions, "In folders, read only these extensions: --ext md,txt")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->transform([](const std::string& name) { return name.starts_with('.') ? name : "." + name; });
  command.add_flag("--skip-bad", documents.skip_bad,
                   "Leave out and count JSONL lines that hold no document (default: the first one ends the work)");
}

}  // namespace ingrain::cli
