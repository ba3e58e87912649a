#include "base/new_folder.h"

#include "base/error.h"
#include "base/open_files.h"

namespace ingrain {

namespace fs = std::filesystem;

NewFolder::NewFolder(const fs::path& folder, std::string_view remedy) {
  std::error_code error;
  const fs::path place = folder_where_written(folder);
  const auto is_there = [&](const fs::path& at) { return fs::exists(fs::symlink_status(at, error)); };  // a link is
  for (fs::path at = fs::absolute(place, error); !at.empty() && !is_there(at); at = at.parent_path())
    made_.push_back(at);
  fs::create_directories(place, error);
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
