// What is being made lies beside its place under a name of its own, locked by its writer; what dead writers left is
// removed by the next one.
#pragma once

#include "base/new_folder.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace ingrain {

/// The name under which this process makes `path`: "x.memory.ingrain-tmp-4711-0". Another one at every call.
std::filesystem::path unfinished_name(const std::filesystem::path& path, const char* kind = "tmp");

/// Locks an open file or folder for as long as the descriptor lives, so that nobody takes it for a dead writer's.
/// False if `path` is no longer that file: another writer was quicker to remove it. True where the file system has no
/// locks.
bool lock_unfinished(int fd, const std::filesystem::path& path);

/// Removes the unfinished files and folders in `folder` whose writers are dead: their locks are free. What cannot be
/// looked at or removed stays; no error.
void remove_dead_unfinished(const std::filesystem::path& folder);

/// The folder in which `path` is, or will be.
std::filesystem::path folder_of(const std::filesystem::path& path);

/// Error, as AtomicFile gives it, if a file cannot be written there: a read-only place, a folder, FIFO or device of
/// that name. For knowing it before the work. Changes nothing.
void require_writable(const std::filesystem::path& path);

/// Error if fewer bytes are free where a file of `what` would be written; none where the system does not say.
void require_space(const std::filesystem::path& path, uint64_t bytes, const char* what);

/// A folder under an unfinished name beside its final one, removed with its content unless commit() is reached.
class UnfinishedFolder {
 public:
  /// A link leads to where the folder is made. Error if the final path is no folder, or nothing can be made beside it.
  /// `may_hold_files`: whether a final folder that holds something is accepted, into which commit() then moves what was
  /// made; otherwise that is an Error.
  explicit UnfinishedFolder(const std::filesystem::path& final_path, bool may_hold_files = false);
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;
  ~UnfinishedFolder();

  const std::filesystem::path& path() const { return unfinished_; }
  /// Puts the folder in place, or its files into the one that is there, each whole.
  void commit();

 private:
  std::filesystem::path final_, unfinished_;
  std::optional<NewFolder> above_;  // in which it is made
  int lock_ = -1;
};

}  // namespace ingrain
