// The folder with states' tensors: a file a state, those that nobody used for longest dropped first.
#pragma once

#include "api/parts.h"
#include "serve/engine/engine.h"
#include "ttt/memory.h"

#include <mutex>

namespace ingrain::serve {

/// Thread-safe. Rows stay when files go, since others' texts follow on from theirs.
class StateFiles {
 public:
  /// Puts files and rows in agreement, after whatever ended the server before. `options.folder` may be empty: then
  /// there are no files, and nothing else may be called but any() and size().
  StateFiles(const Model& model, std::shared_ptr<Records> records, const EngineOptions& options);

  bool any() const { return !options_.folder.empty(); }
  /// The file, then its row.
  void put(StateRow row, const ttt::Memory& memory);
  /// NotFound if the file is gone.
  ttt::Memory load(const std::string& id) const;
  /// It was used just now.
  void touch(const std::string& id);
  /// For good: its text is not found any more.
  void remove(const std::string& id, uint64_t bytes);
  /// Files over the limits of bytes and age are removed; their ids. Named memories stay. The others' texts are found,
  /// and can be read again.
  std::vector<std::string> keep_limits();
  struct Size {
    int64_t files = 0;
    uint64_t bytes = 0;
  };
  Size size() const;

 private:
  void remove_file(const std::string& id, uint64_t bytes);
  std::filesystem::path file_of(const std::string& id) const;
  bool too_large() const;

  const Model model_;
  const std::shared_ptr<Records> records_;
  const EngineOptions options_;
  mutable std::mutex mutex_;
  Size size_;
};

}  // namespace ingrain::serve
