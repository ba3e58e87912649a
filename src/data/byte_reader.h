// Files as streams of bytes, decompressed on the way: nothing is ever held as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

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

/// A reader for `path`, a regular file or a FIFO: gzip if the name ends in .gz, Zstandard if in .zst (in capitals too),
/// else the bytes as they are. Zstandard's windows may be as long as the machine's memory allows (up to zstd --long=31
/// where it has 8 GiB). Waiting for a FIFO's writer ends, with Stopped, when the program is interrupted.
std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path);

/// Standard input as it is; waiting for it can be interrupted.
std::unique_ptr<ByteReader> open_standard_input();

/// All that is left. Error beyond `max_bytes`, which names the file and says `remedy`.
std::string read_to_end(ByteReader& reader, uint64_t max_bytes, const std::string& name, const char* remedy);

}  // namespace ingrain::data
