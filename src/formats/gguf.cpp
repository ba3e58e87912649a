#include "formats/gguf.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

namespace ingrain::formats {
namespace {

using enum GgufValueType;

constexpr uint32_t kMaxGgufDimensions = 4;
constexpr uint64_t kMaxName = 65535;  // the specification's limit for keys
constexpr int kMaxNesting = 4;        // arrays of arrays
constexpr uint64_t kMaxAlignment = 1 << 20;

// clang-format off: a row each
constexpr std::pair<GgufType, GgufTypeInfo> kTypes[] = {
    {GgufType::F32, {"F32", 1, 4}},
    {GgufType::F16, {"F16", 1, 2}},
    {GgufType::BF16, {"BF16", 1, 2}},
    {GgufType::Q4_0, {"Q4_0", 32, 18}},
    {GgufType::Q4_1, {"Q4_1", 32, 20}},
    {GgufType::Q5_0, {"Q5_0", 32, 22}},
    {GgufType::Q5_1, {"Q5_1", 32, 24}},
    {GgufType::Q8_0, {"Q8_0", 32, 34}},
    {GgufType::Q2_K, {"Q2_K", 256, 84}},
    {GgufType::Q3_K, {"Q3_K", 256, 110}},
    {GgufType::Q4_K, {"Q4_K", 256, 144}},
    {GgufType::Q5_K, {"Q5_K", 256, 176}},
    {GgufType::Q6_K, {"Q6_K", 256, 210}},
    {GgufType::IQ1_S, {"IQ1_S", 256, 50}},
    {GgufType::IQ1_M, {"IQ1_M", 256, 56}},
    {GgufType::IQ2_XXS, {"IQ2_XXS", 256, 66}},
    {GgufType::IQ2_XS, {"IQ2_XS", 256, 74}},
    {GgufType::IQ2_S, {"IQ2_S", 256, 82}},
    {GgufType::IQ3_XXS, {"IQ3_XXS", 256, 98}},
    {GgufType::IQ3_S, {"IQ3_S", 256, 110}},
    {GgufType::IQ4_NL, {"IQ4_NL", 32, 18}},
    {GgufType::IQ4_XS, {"IQ4_XS", 256, 136}},
    {GgufType::TQ1_0, {"TQ1_0", 256, 54}},
    {GgufType::TQ2_0, {"TQ2_0", 256, 66}},
    {GgufType::MXFP4, {"MXFP4", 32, 17}}};
// clang-format on

/// Names of the others, for errors.
constexpr std::pair<uint32_t, std::string_view> kOtherTypes[] = {{9, "Q8_1"}, {15, "Q8_K"}, {24, "I8"},  {25, "I16"},
                                                                 {26, "I32"}, {27, "I64"},  {28, "F64"}, {40, "NVFP4"}};

std::string type_name(uint32_t type) {
  for (const auto& [number, name] : kOtherTypes)
    if (number == type) return std::string(name);
  return fmt::format("{}", type);
}

/// Bytes of a value of fixed size, or 0 for strings, arrays and unknown types.
uint64_t fixed_size(GgufValueType type) {
  switch (type) {
    case U8:
    case I8:
    case Bool: return 1;
    case U16:
    case I16: return 2;
    case U32:
    case I32:
    case F32: return 4;
    case U64:
    case I64:
    case F64: return 8;
    default: return 0;
  }
}

/// A place in the file that only moves forward and never beyond the end.
class Cursor {
 public:
  Cursor(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  std::string_view take(uint64_t size, std::string_view what) {
    require(size <= bytes_.size() - at_, "{}: {} needs {} bytes at offset {}, the file ends after {}; is it whole?",
            file_, what, size, at_, bytes_.size() - at_);
    const std::string_view out = bytes_.substr(at_, size);
    at_ += size;
    return out;
  }

  template <class T>
  T number(std::string_view what) {
    T out;
    std::memcpy(&out, take(sizeof(T), what).data(), sizeof(T));
    return out;
  }

  std::string_view text(std::string_view what, uint64_t limit = std::numeric_limits<uint64_t>::max()) {
    const auto length = number<uint64_t>(what);
    require(length <= limit, "{}: {} is {} bytes long; at most {} are allowed", file_, what, length, limit);
    return take(length, what);
  }

  uint64_t position() const { return at_; }

 private:
  std::string_view bytes_;
  const std::string& file_;
  uint64_t at_ = 0;
};

std::string quoted(std::string_view kind, std::string_view name) {
  return fmt::format("{} '{}'", kind, printable(name));
}

GgufArray read_array(Cursor& cursor, std::string_view all, const std::string& file, const std::string& what,
                     int depth) {
  require(depth < kMaxNesting, "{}: {} nests arrays deeper than {}", file, what, kMaxNesting);
  const auto type = cursor.number<GgufValueType>(what);
  const auto count = cursor.number<uint64_t>(what);
  const uint64_t start = cursor.position();
  if (const uint64_t size = fixed_size(type)) {
    const auto total = checked_mul(size, count);
    require(total.has_value(), "{}: {} has {} elements, which cannot be", file, what, count);
    cursor.take(*total, what);
  } else if (type == String) {
    for (uint64_t i = 0; i < count; ++i) cursor.text(what);
  } else if (type == Array) {
    for (uint64_t i = 0; i < count; ++i) read_array(cursor, all, file, what, depth + 1);
  } else {
    fail("{}: {} is an array of unknown type {}", file, what, static_cast<uint32_t>(type));
  }
  return {type, count, all.substr(start, cursor.position() - start)};
}

GgufValue read_value(Cursor& cursor, std::string_view all, const std::string& file, const std::string& what) {
  const auto type = cursor.number<GgufValueType>(what);
  switch (type) {
    case U8: return static_cast<uint64_t>(cursor.number<uint8_t>(what));
    case U16: return static_cast<uint64_t>(cursor.number<uint16_t>(what));
    case U32: return static_cast<uint64_t>(cursor.number<uint32_t>(what));
    case U64: return cursor.number<uint64_t>(what);
    case I8: return static_cast<int64_t>(cursor.number<int8_t>(what));
    case I16: return static_cast<int64_t>(cursor.number<int16_t>(what));
    case I32: return static_cast<int64_t>(cursor.number<int32_t>(what));
    case I64: return cursor.number<int64_t>(what);
    case F32: return static_cast<double>(cursor.number<float>(what));
    case F64: return cursor.number<double>(what);
    case Bool: return cursor.number<uint8_t>(what) != 0;
    case String: return cursor.text(what);
    case Array: return read_array(cursor, all, file, what, 0);
    default:
      fail("{}: {} has unknown type {}; the file is damaged or newer than this program", file, what,
           static_cast<uint32_t>(type));
  }
}

/// A tensor's directory entry; `offset` counts from the start of the data section.
struct Entry {
  GgufTensor tensor;
  uint64_t offset;
  uint64_t size;
};

Entry read_entry(Cursor& cursor, const std::string& file) {
  Entry entry;
  GgufTensor& tensor = entry.tensor;
  tensor.name = cursor.text("a tensor's name", kMaxName);
  const std::string what = quoted("tensor", tensor.name);
  const auto dimensions = cursor.number<uint32_t>(what);
  require(dimensions >= 1 && dimensions <= kMaxGgufDimensions, "{}: {} has {} dimensions; 1 to {} are allowed", file,
          what, dimensions, kMaxGgufDimensions);
  uint64_t elements = 1;
  tensor.shape.resize(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = cursor.number<uint64_t>(what);
    const auto product = checked_mul(elements, extent);
    require(product.has_value(), "{}: {} has a shape whose size overflows", file, what);
    elements = *product;
    tensor.shape[dimensions - 1 - i] = extent;
  }
  const auto type = cursor.number<uint32_t>(what);
  const auto info = gguf_type_info(type);
  require(info.has_value(),
          "{}: {} is of type {}, which ingrain cannot read; use a file of another type (docs/formats.md lists them), "
          "such as Q8_0 or Q4_K",
          file, what, type_name(type));
  tensor.type = static_cast<GgufType>(type);
  require(elements > 0 && tensor.row_length() % info->block_elements == 0,
          "{}: {} has rows of {} elements; {} needs a positive multiple of {}", file, what, tensor.row_length(),
          info->name, info->block_elements);
  const auto size = checked_mul(elements / info->block_elements, info->block_bytes);
  require(size.has_value(), "{}: {} has a shape whose size overflows", file, what);
  entry.size = *size;
  entry.offset = cursor.number<uint64_t>(what);
  return entry;
}

void check_header(Cursor& cursor, const std::string& file) {
  require(cursor.take(4, "the header") == "GGUF", "{}: not a GGUF file (its first bytes are not 'GGUF')", file);
  const auto version = cursor.number<uint32_t>("the version");
  require(version != 0x02000000 && version != 0x03000000,
          "{}: a big-endian GGUF file; convert it to little-endian first", file);
  require(version == 2 || version == 3, "{}: GGUF version {}; versions 2 and 3 can be read", file, version);
}

}  // namespace

std::optional<GgufTypeInfo> gguf_type_info(uint32_t type) {
  for (const auto& [number, info] : kTypes)
    if (static_cast<uint32_t>(number) == type) return info;
  return std::nullopt;
}

uint64_t gguf_rows(const std::vector<uint64_t>& shape) {
  uint64_t out = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) out *= shape[i];
  return out;
}

Gguf::Gguf(const std::filesystem::path& path) : name_(path.string()) {
  files_.emplace_back(path);
  parse(files_[0].bytes());
  if (get<uint64_t>("split.count").value_or(1) > 1) open_parts(path);
}

Gguf::Gguf(std::string_view bytes, std::string name) : name_(std::move(name)) { parse(bytes); }

Gguf::Gguf(const std::vector<GgufPart>& parts) : name_(parts.at(0).name) { join(parts); }

void Gguf::parse(std::string_view bytes) {
  static_assert(std::endian::native == std::endian::little, "numbers are read as they lie in the file");
  Cursor cursor(bytes, name_);
  check_header(cursor, name_);
  const auto tensor_count = cursor.number<uint64_t>("the number of tensors");
  const auto value_count = cursor.number<uint64_t>("the number of metadata values");
  // Every step below consumes bytes, so wrong counts end in an error at the end of the file, not in a long
  // loop.
  for (uint64_t i = 0; i < value_count; ++i) {
    std::string key(cursor.text("a metadata key", kMaxName));
    const std::string what = quoted("metadata", key);
    const uint64_t start = cursor.position();
    GgufValue value = read_value(cursor, bytes, name_, what);
    raw_.push_back({key, bytes.substr(start, cursor.position() - start)});
    require(metadata_.emplace(std::move(key), value).second, "{}: {} appears twice", name_, what);
  }
  const uint64_t alignment = get<uint64_t>("general.alignment").value_or(kGgufAlignment);
  require(std::has_single_bit(alignment) && alignment <= kMaxAlignment,
          "{}: general.alignment is {}; it must be a power of two up to {}", name_, alignment, kMaxAlignment);

  std::vector<Entry> entries;
  for (uint64_t i = 0; i < tensor_count; ++i) entries.push_back(read_entry(cursor, name_));
  const uint64_t data_start = (cursor.position() + alignment - 1) / alignment * alignment;
  const uint64_t data_size = bytes.size() > data_start ? bytes.size() - data_start : 0;
  for (Entry& entry : entries) {
    const std::string what = quoted("tensor", entry.tensor.name);
    require(entry.offset % alignment == 0, "{}: {} starts at {}, which is not a multiple of the alignment {}", name_,
            what, entry.offset, alignment);
    require(entry.offset <= data_size && entry.size <= data_size - entry.offset,
            "{}: {} needs {} bytes at {} of the data, which has {}; is the file whole?", name_, what, entry.size,
            entry.offset, data_size);
    entry.tensor.bytes = bytes.substr(data_start + entry.offset, entry.size);
    require(tensor_index_.emplace(entry.tensor.name, tensors_.size()).second, "{}: {} appears twice", name_, what);
    tensors_.push_back(std::move(entry.tensor));
  }
}

const GgufTensor* Gguf::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const GgufTensor& Gguf::tensor(std::string_view name) const {
  const GgufTensor* found = find_tensor(name);
  require(found != nullptr, "{}: has no tensor '{}'; the model is incomplete or of another architecture", name_, name);
  return *found;
}

bool is_gguf(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return false;
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

}  // namespace ingrain::formats
