// Folders that are made for what is to come, and go again where nothing came.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace ingrain {

/// A folder that is there as long as this lives. It and the missing ones above it are made; at the end those of them
/// that hold nothing are removed.
class NewFolder {
 public:
  /// A link leads to where it is made. Error, ending with the remedy ("name another with --output"), if it cannot be
  /// made.
  NewFolder(const std::filesystem::path& folder, std::string_view remedy);
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder();

 private:
  void remove_empty();

  std::vector<std::filesystem::path> made_;  // the innermost first
};

}  // namespace ingrain
