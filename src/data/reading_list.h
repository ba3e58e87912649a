// Which files a reader is shown, out of names, patterns and folders: text and code, without what machines wrote.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ingrain::data {

struct ReadingList {
  std::vector<std::filesystem::path> files;  // "-" is standard input
  uint64_t skipped = 0;                      // files of folders that were left out
};

/// `inputs` are files, folders, "-" or patterns (* ? [...]), in their order; folders and patterns sorted by name.
/// A file named itself is always taken. Of folders: no hidden files or folders, no folders of build products or
/// fetched dependencies, no lock or minified files, nothing over 1 MiB, nothing with a zero byte among its first 8192.
/// Error if something does not exist, a pattern matches nothing, or nothing is left.
ReadingList list_reading(const std::vector<std::string>& inputs);

/// The whole text of a listed file, .gz and .zst expanded. Error beyond `max_bytes`.
std::string read_listed(const std::filesystem::path& file, uint64_t max_bytes);

/// The line that stands before a file where several are read: "=== src/main.cpp ===" and a line end.
std::string reading_header(const std::filesystem::path& file);

}  // namespace ingrain::data
