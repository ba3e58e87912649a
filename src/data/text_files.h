// Which files are read, out of names, patterns and folders: the one set of rules, for 'read' and 'data prepare' alike
// (docs/data.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ingrain::data {

struct FileRules {
  std::string field = "text";           // of JSON objects that are documents
  std::vector<std::string> extensions;  // in folders only these (".md"), whatever their case; empty: every text file
  bool ignore = true;                   // honour .gitignore, and leave out what machines wrote
  bool standard_input = false;          // "-" is standard input, not a name
};

/// Something in a folder that is not read, and why: "hidden", "in .gitignore", "generated", "binary", ...
struct LeftOut {
  std::filesystem::path path;
  std::string why;
  bool folder = false;
  bool trouble = false;  // it might have been wanted: a link that leads nowhere, a file that cannot be opened
};

struct FileList {
  std::vector<std::filesystem::path> files;  // "-" is standard input
  std::vector<LeftOut> left_out;             // a folder stands for all that is in it

  uint64_t files_left_out() const;
  uint64_t folders_left_out() const;
};

/// `inputs` are files, folders or patterns (* ? [...]), in their order; folders and patterns sorted by name. What is
/// named itself is always taken, and so are files that a pattern names. Of folders, what the rules leave: nothing
/// hidden, nothing that a .gitignore names (those from the repository's root down), no folders of build products or
/// fetched dependencies, no lock or minified files, nothing with a zero byte among its first 8192, expanded where it is
/// compressed. Linked files are read, linked folders are not entered. Error if an input does not exist, a pattern
/// matches nothing, nothing is left, or what is named cannot be read as it is meant: text that is not UTF-8 but UTF-16
/// or UTF-32, a .json file that is an array of documents. In folders such files are left out, and named.
FileList find_text_files(const std::vector<std::string>& inputs, const FileRules& rules);

/// "3 files and 1 folder", for a summary; empty if nothing was left out.
std::string count_left_out(const FileList& list);

/// The name in small letters without .gz or .zst: what says how a file is read.
std::string plain_name(const std::filesystem::path& path);

/// The line that stands before a file where several are read: "=== src/main.cpp ===" and a line end.
std::string reading_header(const std::filesystem::path& file);

}  // namespace ingrain::data
