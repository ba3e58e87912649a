// A file that several processes write at once, each its own part; it appears under its name when all of it is there.
#pragma once

#include <cstdint>
#include <filesystem>

namespace ingrain {

/// As AtomicFile (base/files.h), whole or not at all: one process makes it, the others join it under the name that it
/// has meanwhile, all write and flush(), and when all have done so, the first one commits. Who agrees on that, and how,
/// is the caller's business. Every failure is an Error.
class SharedFile {
 public:
  /// Makes the file, `size` bytes long, beside `path`.
  static SharedFile make(const std::filesystem::path& path, uint64_t size);
  /// Opens what another process has made.
  static SharedFile join(const std::filesystem::path& unfinished);
  SharedFile(SharedFile&& other) noexcept;
  SharedFile& operator=(SharedFile&&) = delete;
  ~SharedFile();  // who has made it and did not commit removes it

  const std::filesystem::path& unfinished() const { return unfinished_; }
  void write_at(uint64_t offset, const void* data, uint64_t size);
  /// What this process has written is on the disk.
  void flush();
  /// Puts the file in place. REQUIRES: this process has made it.
  void commit();

 private:
  SharedFile(std::filesystem::path path, std::filesystem::path unfinished, int fd);

  std::filesystem::path path_, unfinished_;  // path_ is empty in those who joined
  int fd_;
};

}  // namespace ingrain
