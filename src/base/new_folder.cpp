#include "base/new_folder.h"

#include "base/error.h"

namespace ingrain {

namespace fs = std::filesystem;

NewFolder::NewFolder(const fs::path& folder, std::string_view remedy) {
  std::error_code error;
  for (fs::path at = fs::absolute(folder, error); !at.empty() && !fs::exists(at, error); at = at.parent_path())
    if (at.has_filename()) made_.push_back(at);  // "out/" is "out"
  fs::create_directories(folder, error);
  if (!error) return;
  remove_empty();
  fail("{}: cannot make this folder: {}; {}", folder.string(), error.message(), remedy);
}

NewFolder::~NewFolder() { remove_empty(); }

void NewFolder::remove_empty() {
  std::error_code holds_something;
  for (const fs::path& folder : made_) fs::remove(folder, holds_something);
}

}  // namespace ingrain
