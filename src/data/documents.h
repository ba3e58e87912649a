// Documents out of files and folders of text: one a file, or one a line of JSONL.
#pragma once

#include "data/text_files.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ingrain::data {

struct DocumentOptions {
  std::string field = "text";  // of a JSONL line: holds the document
  FileRules files;             // which files of folders
  bool skip_bad = false;       // lines that hold no document are counted and left out; otherwise they are an Error
  uint64_t max_document_bytes = uint64_t{256} << 20;
};

/// One file to read.
struct Source {
  std::filesystem::path path;
  uint64_t bytes = 0;  // on disk; 0 for a FIFO
  bool jsonl = false;  // a document per line; else the file is one document
};

struct SourceList {
  std::vector<Source> sources;
  uint64_t bytes = 0;  // of all sources, on disk
  FileList files;      // with what was left out
};

/// What the `number`th document of a source, from 1 on, is called: its file, with the number where that holds several.
std::string document_name(const Source& source, int64_t number);

/// Lines that held no document.
struct BadLines {
  uint64_t count = 0;
  std::string first;  // file, line and what is wrong with it
};

/// The files that find_text_files() gives for `inputs`, and how each is read: JSONL is what ends in .jsonl or .ndjson,
/// and a .json file whose first line is an object with text in the field (as huggingface datasets writes them); .gz and
/// .zst may follow any name, and capitals are as good. Error as there.
SourceList find_sources(const std::vector<std::filesystem::path>& inputs, const DocumentOptions& options);

/// Calls visit(text, consumed) for every document of `source`, in order; `consumed` counts bytes on disk so
/// far. Memory: one document. `text` lives during the call. Stops early when visit returns false. Error,
/// naming file and line, if a line holds no document (see json_line.h) and is not to be skipped, or a document is too
/// large. Skipped lines are added to `bad`.
void for_each_document(const Source& source, const DocumentOptions& options, BadLines& bad,
                       const std::function<bool(std::string_view text, uint64_t consumed)>& visit);

}  // namespace ingrain::data
