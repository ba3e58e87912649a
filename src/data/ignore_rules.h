// .gitignore files: what a folder's owner does not count as its content.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::data {

/// The rules of the .gitignore files from a repository's root down to a folder. A value: entering a folder makes a
/// longer one. The syntax is git's: `*`, `?`, `[...]`, `**`, a slash at the end for folders, one within or before for
/// paths from the file's own folder, `!` for exceptions, `#` for comments.
class IgnoreRules {
 public:
  /// Those above `folder`, from the root of the repository that it is in (the nearest folder above with a .git); none
  /// if it is in none. Without the folder's own.
  static IgnoreRules above(const std::filesystem::path& folder);

  /// Adds the folder's own .gitignore, if it has one that can be read.
  void enter(const std::filesystem::path& folder);

  /// Whether the last rule that fits says so. `path` is in a folder that was entered; absolute, as those were.
  bool ignores(const std::filesystem::path& path, bool is_folder) const;

 private:
  struct Rule {
    std::string folder;   // of the file, with a slash at its end
    std::string pattern;  // without the marks below
    bool exception = false, folders_only = false, whole_path = false;
  };
  std::vector<Rule> rules_;
};

/// Whether a path of names and slashes matches a pattern of git's: `*` and `?` stop at slashes, `**` does not. Bounded:
/// at most length of the path times length of the pattern steps.
bool matches_ignore_pattern(std::string_view path, std::string_view pattern);

}  // namespace ingrain::data
