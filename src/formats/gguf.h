// GGUF model files (versions 2 and 3, little-endian): metadata and the directory of tensors, read in place.
// Source: the format's specification, ggml's docs/gguf.md. Every count, length, offset and type in the file
// is checked before it is used; what is wrong is an Error that names the file and the field.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ingrain::formats {

/// Element types of the tensors that can be read (numbers as in the file).
enum class GgufType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ2_XXS = 16,
  IQ2_XS = 17,
  IQ3_XXS = 18,
  IQ1_S = 19,
  IQ4_NL = 20,
  IQ3_S = 21,
  IQ2_S = 22,
  IQ4_XS = 23,
  IQ1_M = 29,
  BF16 = 30,
  TQ1_0 = 34,
  TQ2_0 = 35,
  MXFP4 = 39
};

/// Types of metadata values (numbers as in the file).
enum class GgufValueType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

/// How a type is stored: `block_bytes` bytes hold `block_elements` consecutive elements of a row.
struct GgufTypeInfo {
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
};

/// The storage of `type`, or nothing if this program cannot read it.
std::optional<GgufTypeInfo> gguf_type_info(uint32_t type);

/// An array in the metadata, left in the file's bytes. Its extent has been checked.
struct GgufArray {
  GgufValueType element_type;
  uint64_t count;
  std::string_view bytes;
  bool operator==(const GgufArray&) const = default;
};

using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

/// Numbers as they are, F32, F16 or BF16: no blocks.
inline bool is_native(GgufType type) {
  return type == GgufType::F32 || type == GgufType::F16 || type == GgufType::BF16;
}

/// Of a tensor whose shape is outermost first: all extents but the last.
uint64_t gguf_rows(const std::vector<uint64_t>& shape);

/// Where tensors begin, in bytes, in files that say nothing of it.
inline constexpr uint64_t kGgufAlignment = 32;

/// A tensor of the file. `bytes` points into the file.
struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<uint64_t> shape;  // outermost first: [rows..., row_length], the reverse of the file's order
  std::string_view bytes;

  uint64_t row_length() const { return shape.back(); }
  uint64_t rows() const { return gguf_rows(shape); }
  uint64_t elements() const { return rows() * row_length(); }
};

/// A file, or one of the parts of a split one: its bytes, and what stands for it in errors.
struct GgufPart {
  std::string_view bytes;
  std::string name;
};

/// A value of the metadata as the file has it: its type (a number of 32 bits) and what follows.
struct GgufRawValue {
  std::string key;
  std::string_view bytes;
};

/// A parsed file. Immutable after construction, so any thread may read it.
/// Views it hands out (strings, arrays, tensors' bytes) live as long as it does; moving it keeps them valid.
class Gguf {
 public:
  /// Maps the file; nothing but the header and the pages asked for is read. Of a split file (formats/gguf_split.h) any
  /// part may be given: the others must lie beside it.
  explicit Gguf(const std::filesystem::path& path);
  /// Parses bytes that the caller keeps alive. `name` stands for the file in errors.
  Gguf(std::string_view bytes, std::string name);
  /// The same for all parts of a split file, in their order. Error if they do not belong together.
  explicit Gguf(const std::vector<GgufPart>& parts);

  const std::string& name() const { return name_; }
  /// The metadata in the file's order, for who copies them; without `split.*`, of the first part.
  const std::vector<GgufRawValue>& raw_metadata() const { return raw_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  /// The tensor of that name, or null.
  const GgufTensor* find_tensor(std::string_view name) const;
  /// The tensor of that name; Error if the file has none.
  const GgufTensor& tensor(std::string_view name) const;

  bool has(std::string_view key) const { return metadata_.find(key) != metadata_.end(); }

  /// The metadata value, or nothing if the key is absent. Error if it is of another kind.
  /// T: uint64_t, int64_t, double (integers convert where the value fits), bool, std::string_view,
  /// std::vector<std::string_view>, std::vector<int64_t>, std::vector<double>, std::vector<bool>.
  template <class T>
  std::optional<T> get(std::string_view key) const;

  /// The same; Error if the key is absent.
  template <class T>
  T need(std::string_view key) const;

 private:
  std::vector<MappedFile> files_;
  std::string name_;
  std::vector<GgufRawValue> raw_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;

  void parse(std::string_view bytes);
  void open_parts(const std::filesystem::path& path);
  void join(const std::vector<GgufPart>& parts);
};

/// Whether `path` is a regular file that begins as GGUF files do.
bool is_gguf(const std::filesystem::path& path);

}  // namespace ingrain::formats
