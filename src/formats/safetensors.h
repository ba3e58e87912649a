// safetensors: named tensors in one file: u64 header length, a JSON header, then the tensors' bytes end to
// end. Source: https://github.com/huggingface/safetensors#format
#pragma once

#include "base/files.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingrain::formats {

enum class DType {
  F64,
  F32,
  F16,
  BF16,
  I64,
  I32,
  I16,
  I8,
  U8,
  U16,
  U32,
  U64,
  BOOL,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  F6_E2M3,
  F6_E3M2,
  F4,
  C64  // in files of others; nothing here computes with them
};

/// Bits of one element; elements narrower than a byte lie side by side.
size_t dtype_bits(DType dtype);
/// Its bytes, at least one.
size_t dtype_size(DType dtype);
/// The name in a safetensors header, "BF16".
std::string_view dtype_name(DType dtype);

/// One tensor: row-major, little-endian, at [begin, end) of the file's data section.
/// Valid after loading: every dimension >= 0 and the product of shape and dtype_bits is 8 (end - begin).
struct TensorEntry {
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

/// A file opened read-only (mapped, nothing is copied). Movable; any number of threads may read.
/// The constructor validates everything, so that later calls need no checks: header bounds, JSON, names
/// given once, dtypes, dimensions, and that the tensors cover the data section without gap or overlap.
/// Error, naming file and tensor, if anything is off.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  /// The strings of "__metadata__", empty if there are none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(std::string_view name) const;
  /// Error naming the file, the tensor and names close to it if there is no such tensor.
  const TensorEntry& at(std::string_view name) const;
  /// The tensor's bytes, valid as long as this object. NOT necessarily aligned to the element: copy with
  /// memcpy.
  std::span<const uint8_t> bytes(std::string_view name) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  uint64_t data_start_ = 0;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A file that is still to be written: what stands before its tensors, and where each of them goes.
struct SafetensorsLayout {
  std::string beginning;
  std::map<std::string, uint64_t> places;  // bytes from where `beginning` ends
  uint64_t size = 0;                       // of the tensors, all together
};

/// Collects tensors, then writes them in one go. The same content gives the same bytes, in whatever order
/// it was added: what fills multiples of 64 bytes first, then larger elements, then by name, so every tensor is
/// aligned to its element, and nearly all to 64; the data section starts at such a multiple. Not thread-safe.
class SafetensorsWriter {
 public:
  /// `bytes` is not copied: it must stay alive until the last write(). Error if the name was added before
  /// or `bytes` does not fit dtype and shape.
  void add(std::string name, DType dtype, std::vector<int64_t> shape, std::span<const uint8_t> bytes);
  /// The same without its bytes, for layout(): write() must not be called then.
  void declare(std::string name, DType dtype, std::vector<int64_t> shape);
  /// Sets a string of "__metadata__"; the last value of a key counts.
  void metadata(std::string key, std::string value);
  /// Writes atomically: `path` is the old file or the whole new one. Error if it cannot be written or a
  /// name is not UTF-8.
  void write(const std::filesystem::path& path) const;
  /// What write() would write, for several processes that write parts of it. `path` is for error texts only.
  SafetensorsLayout layout(const std::filesystem::path& path) const;

 private:
  struct Item {
    DType dtype;
    std::vector<int64_t> shape;
    uint64_t size;
    const uint8_t* bytes;
  };
  void add_item(std::string name, Item item);
  using Named = std::pair<const std::string, Item>;
  std::vector<const Named*> in_file_order() const;
  std::string header(const std::filesystem::path& path) const;

  std::map<std::string, Item> items_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace ingrain::formats
