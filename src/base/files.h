// Reading and writing files safely: bounded reads, memory maps, and writes that are whole or absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace ingrain {

/// The whole file as bytes. Error if it is missing, not a regular file, or larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes);

/// A file mapped read-only. Movable; unmapped on destruction. Thread-safe to read.
/// The mapping is private: if another process truncates the file, reading beyond its end is a fault,
/// so writers (ours do) must replace files by rename.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// A file that appears under its name only when commit() succeeds: written beside, fsynced, renamed.
/// Destroyed without commit(), it leaves nothing behind. Every failure (no space, read-only folder) is an Error.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t size);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Overwrites `size` bytes at `offset`, which must already have been written (for headers known last).
  void write_at(uint64_t offset, const void* data, size_t size);
  uint64_t size() const { return size_; }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// AtomicFile in one call.
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace ingrain
