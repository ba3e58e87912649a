// Files as streams of bytes, decompressed on the way: nothing is ever held as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace ingrain::data {

/// Not thread-safe.
class ByteReader {
 public:
  virtual ~ByteReader() = default;
  /// Fills `out` with up to `size` bytes; fewer than `size` only at the end, 0 after it.
  /// Error, naming the file, if it cannot be read, is damaged or is cut off.
  virtual size_t read(char* out, size_t size) = 0;
  /// Bytes of the file that were read so far (before decompression): for progress.
  virtual uint64_t consumed() const = 0;
};

/// A reader for `path`: gzip if the name ends in .gz, Zstandard if in .zst, else the bytes as they are.
std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path);

}  // namespace ingrain::data
