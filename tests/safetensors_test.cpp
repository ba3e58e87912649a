#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"
#include "formats/safetensors_folder.h"
#include "scratch.h"

#include <fmt/ranges.h>

#include <cstring>

namespace ingrain::formats {
namespace {

namespace fs = std::filesystem;

class Safetensors : public ScratchTest {
 protected:
  /// A file of the given header and `data_bytes` zeros.
  fs::path file(std::string_view header, size_t data_bytes) {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
    bytes += header;
    bytes.append(data_bytes, '\0');
    return put(dir_ / "x.safetensors", bytes);
  }
};

std::string error_opening(const fs::path& path) {
  return error_of([&] { SafetensorsFile{path}; });
}

std::vector<uint8_t> counting_bytes(size_t size) {
  std::vector<uint8_t> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 7 + 1);
  return out;
}

TEST_F(Safetensors, what_is_written_is_read_back) {
  const auto floats = counting_bytes(24), odd = counting_bytes(3);
  SafetensorsWriter writer;
  writer.add("odd", DType::I8, {3}, odd);
  writer.add("model.\"w\" \u00e9", DType::F32, {2, 3}, floats);
  writer.add("empty", DType::BF16, {0, 5}, {});
  writer.add("scalar", DType::F64, {}, std::span(floats).first(8));
  writer.metadata("format", "line\nline");
  writer.write(dir_ / "out.safetensors");

  const SafetensorsFile file(dir_ / "out.safetensors");
  EXPECT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.metadata().at("format"), "line\nline");
  EXPECT_EQ(file.at("model.\"w\" \u00e9").shape, (std::vector<int64_t>{2, 3}));
  const auto bytes = file.bytes("model.\"w\" \u00e9");
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), floats.begin(), floats.end()));
  EXPECT_EQ(file.bytes("scalar").size(), 8u);
  EXPECT_EQ(file.bytes("empty").size(), 0u);
  EXPECT_EQ(file.at("odd").dtype, DType::I8);
}

TEST_F(Safetensors, every_dtype_survives_with_its_name_and_size) {
  const auto bytes = counting_bytes(16);
  SafetensorsWriter writer;
  const auto all = {DType::F64,  DType::F32,     DType::F16,     DType::BF16,    DType::I64, DType::I32,
                    DType::I16,  DType::I8,      DType::U8,      DType::U16,     DType::U32, DType::U64,
                    DType::BOOL, DType::F8_E4M3, DType::F8_E5M2, DType::F8_E8M0, DType::C64};
  for (const DType dtype : all) {
    writer.add(std::string(dtype_name(dtype)), dtype, {2}, std::span(bytes).first(2 * dtype_size(dtype)));
  }
  writer.write(dir_ / "all.safetensors");
  const SafetensorsFile file(dir_ / "all.safetensors");
  for (const DType dtype : all) EXPECT_EQ(file.at(dtype_name(dtype)).dtype, dtype);
  EXPECT_EQ(dtype_name(DType::BF16), "BF16");
  EXPECT_EQ(dtype_size(DType::BF16), 2u);
}

TEST_F(Safetensors, elements_narrower_than_a_byte_lie_side_by_side) {
  const auto path = file(R"({"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]},)"
                         R"("b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[3,6]}})",
                         6);
  const SafetensorsFile narrow(path);
  EXPECT_EQ(narrow.at("a").dtype, DType::F4);
  EXPECT_EQ(narrow.bytes("b").size(), 3u);
}

TEST_F(Safetensors, the_order_of_adding_does_not_change_the_file_and_data_is_aligned) {
  const auto bytes = counting_bytes(64);
  const std::vector<std::pair<std::string, DType>> items = {
      {"b", DType::U8}, {"a", DType::F32}, {"c", DType::F32}, {"d", DType::BF16}};
  SafetensorsWriter forward, backward;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& [name, dtype] = items[i];
    forward.add(name, dtype, {5}, std::span(bytes).first(5 * dtype_size(dtype)));
    const auto& [other, other_dtype] = items[items.size() - 1 - i];
    backward.add(other, other_dtype, {5}, std::span(bytes).first(5 * dtype_size(other_dtype)));
  }
  forward.write(dir_ / "1"), backward.write(dir_ / "2");
  EXPECT_EQ(read_file(dir_ / "1", 10000), read_file(dir_ / "2", 10000));
  const SafetensorsFile file(dir_ / "1");
  const auto first = reinterpret_cast<uintptr_t>(file.bytes("a").data());
  EXPECT_EQ(first % 64, 0u) << "the mapping is page-aligned, so the data section is too";
  for (const auto& [name, entry] : file.tensors()) {
    EXPECT_EQ(entry.begin % dtype_size(entry.dtype), 0u) << name;
  }
}

TEST_F(Safetensors, an_unknown_tensor_is_named_with_close_names) {
  const auto path = file(R"({"blocks.w1":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  try {
    SafetensorsFile(path).at("block.w1");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'blocks.w1'"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos) << e.what();
  }
}

/// A header, the bytes of data behind it, and a word that the error must contain ("" = must open).
struct HeaderCase {
  const char* name;
  std::string header;
  size_t data_bytes;
  const char* error;
};

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}

const std::string kU8x4 = tensor("U8", "[4]", "[0,4]");

std::vector<HeaderCase> header_cases() {
  return {
      {"valid", R"({"a":)" + kU8x4 + "}   ", 4, ""},
      {"no tensors", "{}", 0, ""},
      {"fields in another order", R"({"a":{"data_offsets":[0,4],"shape":[4],"dtype":"U8"}})", 4, ""},
      {"a zero-size tensor between others",
       R"({"a":)" + kU8x4 + R"(,"z":)" + tensor("F32", "[0,7]", "[4,4]") + R"(,"b":)" + tensor("U8", "[1]", "[4,5]") +
           "}",
       5, ""},
      {"metadata", R"({"__metadata__":{"k":"v"},"a":)" + kU8x4 + "}", 4, ""},
      {"empty header", "", 0, "begin with"},
      {"byte-order mark", "\xEF\xBB\xBF{}", 0, "begin with"},
      {"leading space", " {}", 0, "begin with"},
      {"array at the top", "[]", 0, "begin with"},
      {"cut-off JSON", R"({"a":{"dtype":"U8")", 4, "JSON"},
      {"rubbish after the object", "{}x", 0, "JSON"},
      {"second object", "{}{}", 0, "JSON"},
      {"zero bytes as padding", std::string("{}\0\0", 4), 0, "JSON"},
      {"invalid UTF-8 in a name", "{\"\xff\":" + kU8x4 + "}", 4, "JSON"},
      {"trailing comma", R"({"a":)" + kU8x4 + ",}", 4, "JSON"},
      {"comment", "{/**/}", 0, "JSON"},
      {"same tensor twice", R"({"a":)" + kU8x4 + R"(,"a":)" + kU8x4 + "}", 4, "twice"},
      {"same field twice", R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4, "twice"},
      {"same shape twice", R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4, "twice"},
      {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0, "twice"},
      {"same metadata key twice", R"({"__metadata__":{"a":"1","a":"1"}})", 0, "twice"},
      {"metadata number", R"({"__metadata__":{"a":1}})", 0, "number"},
      {"metadata object", R"({"__metadata__":{"a":{}}})", 0, "object"},
      {"metadata array", R"({"__metadata__":{"a":[]}})", 0, "array"},
      {"metadata null", R"({"__metadata__":{"a":null}})", 0, "null"},
      {"metadata is a string", R"({"__metadata__":"a"})", 0, "string"},
      {"tensor is a number", R"({"a":4})", 0, "number"},
      {"tensor is an array", R"({"a":[]})", 0, "array"},
      {"no dtype", R"({"a":{"shape":[4],"data_offsets":[0,4]}})", 4, "needs dtype"},
      {"no shape", R"({"a":{"dtype":"U8","data_offsets":[0,4]}})", 4, "needs dtype"},
      {"no offsets", R"({"a":{"dtype":"U8","shape":[4]}})", 4, "needs dtype"},
      {"unknown field", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":[1]}})", 4, "not a field"},
      {"half a byte", R"({"a":)" + tensor("F4", "[3]", "[0,2]") + "}", 2, "do not fit"},
      {"unknown dtype", R"({"a":)" + tensor("F13", "[4]", "[0,4]") + "}", 4, "F13"},
      {"lower-case dtype", R"({"a":)" + tensor("u8", "[4]", "[0,4]") + "}", 4, "dtype"},
      {"dtype is a number", R"({"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}})", 4, "number"},
      {"shape is a string", R"({"a":{"dtype":"U8","shape":"4","data_offsets":[0,4]}})", 4, "string"},
      {"negative dimension", R"({"a":)" + tensor("U8", "[-4]", "[0,4]") + "}", 4, "negative"},
      {"two negative dimensions", R"({"a":)" + tensor("U8", "[-2,-2]", "[0,4]") + "}", 4, "negative"},
      {"float dimension", R"({"a":)" + tensor("U8", "[4.0]", "[0,4]") + "}", 4, "whole"},
      {"exponent dimension", R"({"a":)" + tensor("U8", "[4e0]", "[0,4]") + "}", 4, "whole"},
      {"dimension beyond int64", R"({"a":)" + tensor("U8", "[9223372036854775808]", "[0,4]") + "}", 4, "too large"},
      {"dimension beyond uint64", R"({"a":)" + tensor("U8", "[99999999999999999999]", "[0,4]") + "}", 4, "too large"},
      {"product wraps to the right size", R"({"a":)" + tensor("U8", "[4294967296,4294967296,4]", "[0,0]") + "}", 0,
       "do not fit"},
      {"product with the element wraps", R"({"a":)" + tensor("F64", "[2305843009213693952]", "[0,0]") + "}", 0,
       "do not fit"},
      {"zero dimension hides an overflow", R"({"a":)" + tensor("U8", "[0,9223372036854775807,9]", "[0,0]") + "}", 0,
       "do not fit"},
      {"nested shape", R"({"a":)" + tensor("U8", "[[4]]", "[0,4]") + "}", 4, "array"},
      {"shape with a string", R"({"a":)" + tensor("U8", "[\"4\"]", "[0,4]") + "}", 4, "string"},
      {"shape with null", R"({"a":)" + tensor("U8", "[null]", "[0,4]") + "}", 4, "null"},
      {"shape with true", R"({"a":)" + tensor("U8", "[true]", "[0,4]") + "}", 4, "true"},
      {"too many dimensions",
       R"({"a":)" + tensor("U8", fmt::format("[{}]", fmt::join(std::vector<int>(65, 1), ",")), "[0,1]") + "}", 1,
       "more than"},
      {"one offset", R"({"a":)" + tensor("U8", "[4]", "[0]") + "}", 4, "needs dtype"},
      {"three offsets", R"({"a":)" + tensor("U8", "[4]", "[0,4,4]") + "}", 4, "needs dtype"},
      {"offsets reversed", R"({"a":)" + tensor("U8", "[4]", "[4,0]") + "}", 4, "do not fit"},
      {"negative offset", R"({"a":)" + tensor("U8", "[4]", "[-4,0]") + "}", 4, "negative"},
      {"size does not match the shape", R"({"a":)" + tensor("F32", "[4]", "[0,4]") + "}", 4, "do not fit"},
      {"beyond the end", R"({"a":)" + tensor("U8", "[9]", "[0,9]") + "}", 4, "cut off"},
      {"bytes left over", R"({"a":)" + kU8x4 + "}", 5, "describes"},
      {"a gap", R"({"a":)" + kU8x4 + R"(,"b":)" + tensor("U8", "[1]", "[5,6]") + "}", 6, "a gap"},
      {"a gap at the front", R"({"a":)" + tensor("U8", "[4]", "[1,5]") + "}", 5, "a gap"},
      {"an overlap", R"({"a":)" + kU8x4 + R"(,"b":)" + tensor("U8", "[2]", "[3,5]") + "}", 5, "an overlap"},
      {"the same bytes twice", R"({"a":)" + kU8x4 + R"(,"b":)" + kU8x4 + "}", 4, "an overlap"},
      {"a zero-size tensor inside another", R"({"a":)" + kU8x4 + R"(,"z":)" + tensor("U8", "[0]", "[2,2]") + "}", 4,
       "an overlap"},
      {"deep nesting", "{\"a\":" + std::string(100000, '[') + "}", 0, "array"},
      {"deep objects",
       [] {
         std::string text;
         for (int i = 0; i < 50000; ++i) text += "{\"a\":";
         return text;
       }(),
       0, "object"},
  };
}

TEST_F(Safetensors, hostile_headers_are_refused_with_the_file_and_the_reason) {
  for (const HeaderCase& c : header_cases()) {
    const fs::path path = file(c.header, c.data_bytes);
    const std::string error = error_opening(path);
    if (std::string_view(c.error).empty()) {
      EXPECT_EQ(error, "") << c.name;
    } else {
      EXPECT_NE(error.find(c.error), std::string::npos) << c.name << ": " << error;
      EXPECT_NE(error.find(path.string()), std::string::npos) << c.name << ": " << error;
    }
  }
}

TEST_F(Safetensors, a_terminal_escape_in_a_name_does_not_reach_the_terminal) {
  const std::string error = error_opening(file(R"({"\u001b[2Jx":{}})", 0));
  EXPECT_NE(error.find("\\x1b"), std::string::npos) << error;
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST_F(Safetensors, a_header_length_beyond_file_or_limit_is_refused) {
  for (const uint64_t length : {uint64_t{3}, uint64_t{100'000'001}, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    put(dir_ / "x", bytes + "{}");
    EXPECT_NE(error_opening(dir_ / "x").find("header length"), std::string::npos) << length;
  }
  for (size_t size = 0; size < 8; ++size) {
    put(dir_ / "x", std::string(size, '\2'));
    EXPECT_NE(error_opening(dir_ / "x").find("too short"), std::string::npos) << size;
  }
}

TEST_F(Safetensors, every_truncation_of_a_valid_file_is_refused) {
  const auto bytes = counting_bytes(12);
  SafetensorsWriter writer;
  writer.add("a", DType::F32, {3}, bytes);
  writer.metadata("k", "v");
  writer.write(dir_ / "whole");
  const std::string whole = read_file(dir_ / "whole", 10000);
  for (size_t size = 0; size < whole.size(); ++size) {
    put(dir_ / "cut", whole.substr(0, size));
    EXPECT_NE(error_opening(dir_ / "cut"), "") << size;
  }
}

TEST_F(Safetensors, the_writer_refuses_what_would_not_be_readable) {
  const auto bytes = counting_bytes(12);
  SafetensorsWriter writer;
  EXPECT_THROW(writer.add("a", DType::F32, {2}, bytes), Error);
  EXPECT_THROW(writer.add("a", DType::F32, {-3}, bytes), Error);
  EXPECT_THROW(writer.add("__metadata__", DType::F32, {3}, bytes), Error);
  writer.add("a", DType::F32, {3}, bytes);
  EXPECT_THROW(writer.add("a", DType::F32, {3}, bytes), Error);
  writer.metadata("k", "\xff");
  EXPECT_THROW(writer.write(dir_ / "out"), Error);
  EXPECT_TRUE(fs::is_empty(dir_)) << "nothing half-written";
}

void write_shard(const fs::path& path, const std::string& name, const std::vector<uint8_t>& bytes) {
  SafetensorsWriter writer;
  writer.add(name, DType::U8, {static_cast<int64_t>(bytes.size())}, bytes);
  writer.metadata("shard", name);
  writer.write(path);
}

TEST_F(Safetensors, shards_are_one_view_by_index_or_by_number) {
  const auto bytes = counting_bytes(5);
  write_shard(dir_ / "s1.safetensors", "a", bytes);
  write_shard(dir_ / "s2.safetensors", "b", bytes);
  put(dir_ / "model.safetensors.index.json", R"({"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})");
  const SafetensorsFolder indexed(dir_);
  EXPECT_EQ(indexed.tensors().size(), 2u);
  EXPECT_EQ(indexed.at("b").file->path().filename(), "s2.safetensors");
  EXPECT_EQ(indexed.bytes("a").size(), 5u);
  EXPECT_EQ(indexed.metadata().at("shard"), "a");

  const fs::path numbered = dir_ / "numbered";
  fs::create_directories(numbered);
  for (int i = 0; i < 11; ++i) {
    write_shard(numbered / fmt::format("params-{}.safetensors", i), fmt::format("t{}", i), bytes);
  }
  EXPECT_EQ(SafetensorsFolder(numbered).tensors().size(), 11u);
  EXPECT_EQ(SafetensorsFolder(numbered / "params-3.safetensors").tensors().size(), 1u);
}

TEST_F(Safetensors, a_folder_that_contradicts_itself_is_refused) {
  const auto bytes = counting_bytes(5);
  EXPECT_THROW(SafetensorsFolder{dir_}, Error) << "empty folder";
  EXPECT_THROW(SafetensorsFolder{dir_ / "absent"}, Error);
  write_shard(dir_ / "s1.safetensors", "a", bytes);
  for (const char* index :
       {"[]", "{}", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})", R"({"weight_map":{"x":"s1.safetensors"}})",
        R"({"weight_map":{"a":"absent.safetensors"}})", R"({"weight_map":{"a":"../s1.safetensors"}})",
        R"({"weight_map":{"a":"s1.safetensors"},"weight_map":{}})"}) {
    put(dir_ / "model.safetensors.index.json", index);
    EXPECT_THROW(SafetensorsFolder{dir_}, Error) << index;
  }
  fs::remove(dir_ / "model.safetensors.index.json");
  write_shard(dir_ / "params-0.safetensors", "a", bytes);
  write_shard(dir_ / "params-1.safetensors", "a", bytes);
  EXPECT_THROW(SafetensorsFolder{dir_}, Error) << "one name in two files";
}

}  // namespace
}  // namespace ingrain::formats
