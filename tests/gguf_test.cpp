// GGUF files: what a good one holds, and that every bad one is refused with a clear text.
#include "formats/gguf.h"

#include "base/error.h"
#include "formats/gguf_quants.h"
#include "formats/gguf_split.h"
#include "formats/gguf_writer.h"
#include "gguf_builder.h"
#include "scratch.h"

#include <bit>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingrain::formats {
namespace {

const std::filesystem::path kFixture = std::filesystem::path(INGRAIN_TEST_FIXTURES) / "quants.gguf";

using Builder = GgufBuilder;

std::string refusal(const std::string& bytes) {
  try {
    Gguf{bytes, "model.gguf"};
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("model.gguf: "));
    return e.what();
  }
  return "accepted";
}

TEST(Gguf, every_type_expands_to_the_values_of_the_reference_to_the_last_bit) {
  const Gguf file(kFixture);
  int compared = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    const GgufTensor* expected = file.find_tensor(tensor.name + ".expected");
    if (!expected) continue;
    std::vector<float> got(tensor.elements()), want(expected->elements());
    dequantize_rows(tensor, 0, tensor.rows(), got);
    dequantize_rows(*expected, 0, expected->rows(), want);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i])) << tensor.name << " element " << i;
    ++compared;
  }
  EXPECT_EQ(compared, 25);
}

TEST(Gguf, rows_can_be_read_one_by_one) {
  const std::string bytes = Builder().header(1, 0).tensor("w", {4, 3}, 0, 0).data(0).bytes();
  Builder with_data;
  with_data.raw(bytes);
  for (int i = 0; i < 12; ++i) with_data.number<float>(static_cast<float>(i));
  const Gguf file(with_data.bytes(), "model.gguf");
  EXPECT_THAT(file.tensor("w").shape, testing::ElementsAre(3, 4));
  std::vector<float> row(4);
  dequantize_rows(file.tensor("w"), 2, 1, row);
  EXPECT_THAT(row, testing::ElementsAre(8, 9, 10, 11));
  EXPECT_THROW(dequantize_rows(file.tensor("w"), 3, 1, row), Error);
  EXPECT_THROW(dequantize_rows(file.tensor("w"), 0, 2, row), Error);
}

TEST(Gguf, metadata_is_read_as_the_type_asked_for) {
  const Gguf file(kFixture);
  EXPECT_EQ(file.need<std::string_view>("test.text"), "a Ω");
  EXPECT_THAT(file.need<std::vector<std::string_view>>("test.words"), testing::ElementsAre("one", "", "three"));
  EXPECT_THAT(file.need<std::vector<int64_t>>("test.numbers"), testing::ElementsAre(1, -2, 3));
  EXPECT_EQ(file.get<uint64_t>("absent"), std::nullopt);
}

TEST(Gguf, a_metadata_value_of_another_kind_is_named) {
  const Gguf file(kFixture);
  const auto text_of = [](auto action) -> std::string {
    try {
      action();
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(text_of([&] { file.get<uint64_t>("test.text"); }),
              testing::HasSubstr("'test.text' is not a whole number"));
  EXPECT_THAT(text_of([&] { file.need<bool>("test.absent"); }), testing::HasSubstr("'test.absent' is missing"));
  EXPECT_THAT(text_of([&] { file.get<std::vector<std::string_view>>("test.numbers"); }),
              testing::HasSubstr("not an array of strings"));
}

TEST(Gguf, integers_and_booleans_of_every_width_are_read) {
  const std::string bytes = Builder()
                                .header(0, 6)
                                .text("u8")
                                .number<uint32_t>(0)
                                .number<uint8_t>(200)
                                .text("i16")
                                .number<uint32_t>(3)
                                .number<int16_t>(-5)
                                .text("u64")
                                .number<uint32_t>(10)
                                .number<uint64_t>(~0ull)
                                .text("f32")
                                .number<uint32_t>(6)
                                .number<float>(0.5f)
                                .text("yes")
                                .number<uint32_t>(7)
                                .number<uint8_t>(1)
                                .text("deep")
                                .number<uint32_t>(9)
                                .number<uint32_t>(9)
                                .number<uint64_t>(1)
                                .number<uint32_t>(0)
                                .number<uint64_t>(0)
                                .bytes();
  const Gguf file(bytes, "model.gguf");
  EXPECT_EQ(file.need<uint64_t>("u8"), 200u);
  EXPECT_EQ(file.need<int64_t>("i16"), -5);
  EXPECT_THROW(file.need<uint64_t>("i16"), Error);
  EXPECT_THROW(file.need<int64_t>("u64"), Error);
  EXPECT_EQ(file.need<double>("f32"), 0.5);
  EXPECT_TRUE(file.need<bool>("yes"));
  EXPECT_THROW(file.get<std::vector<int64_t>>("deep"), Error);
}

TEST(Gguf, a_hostile_header_is_refused) {
  EXPECT_THAT(refusal("PK\3\4 and more"), testing::HasSubstr("not a GGUF file"));
  EXPECT_THAT(refusal(""), testing::HasSubstr("the header"));
  EXPECT_THAT(refusal(Builder().header(0, 0, 1).bytes()), testing::HasSubstr("GGUF version 1"));
  EXPECT_THAT(refusal(Builder().header(0, 0, 0x03000000).bytes()), testing::HasSubstr("big-endian"));
  EXPECT_THAT(refusal(Builder().header(0, ~0ull).bytes()), testing::HasSubstr("metadata key"));
  EXPECT_THAT(refusal(Builder().header(~0ull, 0).bytes()), testing::HasSubstr("tensor's name"));
  EXPECT_EQ(refusal(Builder().header(0, 0).bytes()), "accepted");
}

TEST(Gguf, hostile_metadata_is_refused) {
  const auto one = [] { return Builder().header(0, 1); };
  EXPECT_THAT(refusal(one().number<uint64_t>(1ull << 40).bytes()), testing::HasSubstr("at most 65535"));
  EXPECT_THAT(refusal(one().text("k").number<uint32_t>(13).bytes()), testing::HasSubstr("'k' has unknown type 13"));
  EXPECT_THAT(refusal(one().text("k").number<uint32_t>(8).number<uint64_t>(~0ull).bytes()), testing::HasSubstr("'k'"));
  EXPECT_THAT(refusal(one().text("k").number<uint32_t>(9).number<uint32_t>(10).number<uint64_t>(~0ull).bytes()),
              testing::HasSubstr("which cannot be"));
  EXPECT_THAT(refusal(one().text("k").number<uint32_t>(9).number<uint32_t>(99).number<uint64_t>(1).bytes()),
              testing::HasSubstr("array of unknown type 99"));
  Builder nested = one().text("k").number<uint32_t>(9);
  for (int i = 0; i < 100; ++i) nested.number<uint32_t>(9).number<uint64_t>(1);
  EXPECT_THAT(refusal(nested.bytes()), testing::HasSubstr("nests arrays"));
  Builder twice = Builder().header(0, 2);
  for (int i = 0; i < 2; ++i) twice.text("k").number<uint32_t>(0).number<uint8_t>(1);
  EXPECT_THAT(refusal(twice.bytes()), testing::HasSubstr("'k' appears twice"));
  EXPECT_THAT(refusal(one().text("general.alignment").number<uint32_t>(4).number<uint32_t>(0).bytes()),
              testing::HasSubstr("power of two"));
}

TEST(Gguf, hostile_tensors_are_refused) {
  const auto with = [](std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    return refusal(Builder().header(1, 0).tensor("w", dims, type, offset).data(128).bytes());
  };
  EXPECT_EQ(with({32}, 0, 0), "accepted");
  EXPECT_THAT(with({33}, 0, 0), testing::HasSubstr("is the file whole"));
  EXPECT_THAT(with({32}, 0, 32), testing::HasSubstr("is the file whole"));
  EXPECT_THAT(with({32}, 0, ~0ull - 31), testing::HasSubstr("is the file whole"));
  EXPECT_THAT(with({8}, 0, 4), testing::HasSubstr("not a multiple of the alignment"));
  EXPECT_THAT(with({1ull << 32, 1ull << 32}, 0, 0), testing::HasSubstr("overflows"));
  EXPECT_THAT(with({1ull << 62}, 0, 0), testing::HasSubstr("overflows"));
  EXPECT_THAT(with({0}, 0, 0), testing::HasSubstr("rows of 0"));
  EXPECT_THAT(with({1, 1, 1, 1, 1}, 0, 0), testing::HasSubstr("5 dimensions"));
  EXPECT_THAT(with({}, 0, 0), testing::HasSubstr("0 dimensions"));
  EXPECT_THAT(with({31}, 8, 0), testing::HasSubstr("Q8_0 needs a positive multiple of 32"));
  EXPECT_THAT(with({256}, 40, 0), testing::HasSubstr("type NVFP4, which ingrain cannot read"));
  EXPECT_THAT(with({256}, 99, 0), testing::HasSubstr("type 99, which ingrain cannot read"));
}

TEST(Gguf, a_file_cut_short_anywhere_is_refused) {
  const std::string whole = read_file(kFixture, 1 << 20);
  for (size_t size = 0; size < whole.size(); size += size < 4000 ? 1 : 997)
    ASSERT_NE(refusal(whole.substr(0, size)), "accepted") << "cut after " << size << " bytes";
}

/// A part with these tensors of 8 numbers, all of which are `number`.
std::string part(uint32_t no, uint32_t count, const std::vector<std::string>& tensors, uint32_t all, float number = 1,
                 bool first_keys = false) {
  Builder out;
  out.header(tensors.size(), first_keys ? 4 : 3);
  if (first_keys || no == 0) out.key("test.name", std::string_view("whole"));
  if (no != 0 || first_keys) out.key("split.no", no);
  out.key("split.count", count).key("split.tensors.count", all);
  for (size_t i = 0; i < tensors.size(); ++i) out.tensor(tensors[i], {8}, 0, i * 32);
  out.data(0);
  for (size_t i = 0; i < tensors.size() * 8; ++i) out.number(number);
  return out.bytes();
}

std::string refusal_of(const std::vector<GgufPart>& parts) {
  try {
    Gguf{parts};
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

class SplitGguf : public ScratchTest {};
class WrittenGguf : public ScratchTest {};

TEST_F(SplitGguf, parts_are_one_file_whichever_is_named) {
  const auto name = [&](int i) { return dir_ / fmt::format("m-{:05}-of-00003.gguf", i); };
  write_file(name(1), part(0, 3, {"a", "b"}, 4, 1));
  write_file(name(2), part(1, 3, {"c"}, 4, 2));
  write_file(name(3), part(2, 3, {"d"}, 4, 3));
  for (int i = 1; i <= 3; ++i) {
    const Gguf file(name(i));
    EXPECT_EQ(file.need<std::string_view>("test.name"), "whole");
    EXPECT_FALSE(file.has("split.count"));
    ASSERT_EQ(file.tensors().size(), 4u);
    std::vector<float> row(8);
    dequantize_rows(file.tensor("d"), 0, 1, row);
    EXPECT_THAT(row, testing::Each(3));
  }
  std::filesystem::remove(name(2));
  const auto text = [&] {
    try {
      Gguf{name(3)};
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(text(), testing::HasSubstr("m-00002-of-00003.gguf is missing"));
  std::filesystem::rename(name(3), dir_ / "other.gguf");
  EXPECT_THROW(Gguf(dir_ / "other.gguf"), Error);
}

TEST_F(SplitGguf, parts_that_do_not_belong_together_are_named) {
  const std::string first = part(0, 2, {"a"}, 2), second = part(1, 2, {"b"}, 2);
  EXPECT_EQ(refusal_of({{first, "1"}, {second, "2"}}), "accepted");
  EXPECT_THAT(refusal_of({{second, "2"}, {first, "1"}}), testing::HasSubstr("2: says that it is part 2 of 2"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(1, 3, {"b"}, 2), "2"}}), testing::HasSubstr("part 2 of 3"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(1, 2, {"a"}, 2), "2"}}), testing::HasSubstr("'a' is in another part"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(1, 2, {"b", "c"}, 2), "2"}}), testing::HasSubstr("hold 3 tensors"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(1, 2, {"b"}, 9), "2"}}), testing::HasSubstr("split.tensors.count"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(5, 2, {"b"}, 2), "2"}}), testing::HasSubstr("'split.no' is 5"));
  EXPECT_THAT(refusal_of({{first, "1"}, {part(1, 70000, {"b"}, 2), "2"}}), testing::HasSubstr("up to 1000 parts"));
}

TEST_F(SplitGguf, names_say_which_part_a_file_is) {
  EXPECT_EQ(gguf_part_name("a-b-00002-of-00010.gguf")->stem, "a-b");
  EXPECT_EQ(gguf_part_name("a-b-00002-of-00010.gguf")->number, 2u);
  for (const char* name : {"a.gguf", "a-00003-of-00002.gguf", "a-00000-of-00002.gguf", "a-0001-of-00002.gguf",
                           "-00001-of-00002.gguf", "a-00001-of-00002.ggux", "a-+0001-of-00002.gguf"})
    EXPECT_FALSE(gguf_part_name(name)) << name;
}

TEST_F(WrittenGguf, what_it_writes_is_read_again) {
  const Gguf source(kFixture);
  GgufWriter out;
  for (const GgufRawValue& value : source.raw_metadata()) out.set(value);
  out.set("test.text", "another");
  out.set("test.float", 0.25f);
  out.set("test.words", std::vector<std::string>{"x", ""});
  for (const GgufTensor& tensor : source.tensors()) out.tensor(tensor.name, tensor.type, tensor.shape);
  out.write(dir_ / "out.gguf", [&](size_t i, const auto& put) { put(source.tensors()[i].bytes); });
  const Gguf file(dir_ / "out.gguf");
  EXPECT_EQ(file.need<std::string_view>("test.text"), "another");
  EXPECT_EQ(file.need<double>("test.float"), 0.25);
  EXPECT_THAT(file.need<std::vector<std::string_view>>("test.words"), testing::ElementsAre("x", ""));
  EXPECT_THAT(file.need<std::vector<int64_t>>("test.numbers"), testing::ElementsAre(1, -2, 3));
  ASSERT_EQ(file.tensors().size(), source.tensors().size());
  for (const GgufTensor& tensor : source.tensors()) EXPECT_EQ(file.tensor(tensor.name).bytes, tensor.bytes);
  EXPECT_THROW(out.write(dir_ / "short.gguf", [](size_t, const auto&) {}), Error);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "short.gguf"));
}

}  // namespace
}  // namespace ingrain::formats
