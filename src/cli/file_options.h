// What the commands that read files and folders share: which files, and saying which.
#pragma once

#include "data/documents.h"

#include <CLI/CLI.hpp>

#include <vector>

namespace ingrain::cli {

struct FileOptions {
  bool no_ignore = false, verbose = false, dry_run = false;

  /// Adds --no-ignore, --verbose and --dry-run, with which `for_work` (required otherwise) need not be given.
  void add_to(CLI::App& command, const std::vector<CLI::Option*>& for_work);
  /// What was left out: with --verbose or --dry-run all of it, else what might have been wanted (links that lead
  /// nowhere, files that cannot be read), each with its reason, on standard error (with --dry-run standard output).
  void tell(const data::FileList& list) const;
};

/// Adds --field, --skip-bad and --ext: which documents, of which files of folders.
void add_document_options(CLI::App& command, data::DocumentOptions& documents);

}  // namespace ingrain::cli
