// Documents out of files and folders of text: what is read, in which order, and what is left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::data {

struct DocumentOptions {
  std::string field = "text";           // of a JSONL line: holds the document
  std::vector<std::string> extensions;  // in folders only these (".md"); empty: every text file
  uint64_t max_document_bytes = uint64_t{256} << 20;
};

/// One file to read.
struct Source {
  std::filesystem::path path;
  uint64_t bytes = 0;  // on disk
  bool jsonl = false;  // a document per line; else the file is one document
};

struct SourceList {
  std::vector<Source> sources;
  uint64_t bytes = 0;    // of all sources, on disk
  uint64_t skipped = 0;  // files in folders that are hidden, binary or of another extension
};

/// The files that `inputs` (files and folders) name, in the order of `inputs`, folders sorted by path. JSONL
/// is what ends in .jsonl or .ndjson; .gz and .zst may follow any name. In folders, hidden names and files
/// with a zero byte among their first 8192 are left out; linked files are read, linked folders are not
/// entered. Error if an input does not exist or nothing is left.
SourceList find_sources(const std::vector<std::filesystem::path>& inputs, const DocumentOptions& options);

/// Calls visit(text, consumed) for every document of `source`, in order; `consumed` counts bytes on disk so
/// far. Memory: one document. `text` lives during the call. Stops early when visit returns false. Error,
/// naming file and line, if a line is no JSON object with a string in the field, or a document is too large.
void for_each_document(const Source& source, const DocumentOptions& options,
                       const std::function<bool(std::string_view text, uint64_t consumed)>& visit);

}  // namespace ingrain::data
