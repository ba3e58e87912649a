#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "scratch.h"

namespace ingrain {
namespace {

TEST(Text, printable_keeps_text_and_escapes_what_could_harm_a_terminal) {
  EXPECT_EQ(printable("blocks.w1 \u00e9 \u4e2d \U0001F600"), "blocks.w1 \u00e9 \u4e2d \U0001F600");
  EXPECT_EQ(printable("\x1b[2J\n\x7f"), "\\x1b[2J\\x0a\\x7f");
  EXPECT_EQ(printable("\u009b"), "\\xc2\\x9b") << "a control character of two bytes";
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Text, printable_escapes_every_malformed_sequence) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc0\x80"), "\\xc0\\x80") << "overlong";
  EXPECT_EQ(printable("\xe0\x80\x80"), "\\xe0\\x80\\x80") << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(printable("\xe4\xb8"), "\\xe4\\xb8") << "cut off";
}

TEST(Text, printable_is_bounded) {
  const std::string shown = printable(std::string(1'000'000, 'x'), 50);
  EXPECT_EQ(shown.size(), 53u);
  EXPECT_TRUE(shown.ends_with("xx..."));
}

TEST(Text, edit_distance_counts_single_changes) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("batch", "batch"), 0u);
  EXPECT_EQ(edit_distance("ab", "ba"), 2u);
}

TEST(Text, suggestions_are_close_and_in_order_of_closeness) {
  const std::vector<std::string> names = {"length", "batch_size", "batch", "seed"};
  EXPECT_EQ(did_you_mean("lenght", names), " (did you mean 'length'?)");
  EXPECT_EQ(did_you_mean("batch_size2", names), " (did you mean 'batch_size'?)");
  EXPECT_EQ(did_you_mean("something else", names), "");
  EXPECT_EQ(did_you_mean("le", names), " (did you mean 'length'?)") << "the beginning of one";
  EXPECT_EQ(did_you_mean("BATCH_SIZE", names), " (did you mean 'batch_size'?)");
  EXPECT_EQ(did_you_mean("b", {"b0001", "b0002", "b0003", "b0004"}), "") << "the beginning of many";
  EXPECT_EQ(did_you_mean("q4_k", {"q4_k_m", "q4_k_s", "q6_k", "q4_0"}),
            " (did you mean 'q4_k_m' or 'q4_k_s' or 'q6_k'?)");
  EXPECT_EQ(close_names("sed", {"seed", "sed", "red"}), (std::vector<std::string>{"sed", "seed", "red"}));
  EXPECT_EQ(did_you_mean(std::string(100'000, 'x'), names), "") << "no work for absurd names";
}

TEST(Json, what_is_no_json_or_hostile_is_refused_with_its_source) {
  EXPECT_EQ(parse_json(R"({"a":[1,{"a":2}]})", "f.json")["a"][1]["a"], 2);
  EXPECT_EQ(parse_json(std::string(64, '[') + std::string(64, ']'), "f.json").size(), 1u);
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{}{}"), std::string("{}\0x", 4), std::string(100'000, '['),
        std::string(R"({"a":1,"a":2})"), std::string(R"({"b":{"a":1,"a":2}})"), std::string("\"\xff\"")}) {
    EXPECT_TRUE(contains(error_of([&] { parse_json(text, "f.json"); }), "f.json")) << text.substr(0, 20);
  }
}

TEST(Json, exactly_is_with_integers_of_any_size) {
  const std::string text =
      R"({"a":[18446744073709551616,-9223372036854775809,1.5,18446744073709551615,1e+22,"x"],"b":{}})";
  const auto json = parse_exactly(text);
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(big_integer_digits((*json)["a"][0]), "18446744073709551616");
  EXPECT_EQ(big_integer_digits((*json)["a"][1]), "-9223372036854775809");
  EXPECT_EQ(big_integer_digits((*json)["a"][2]), std::nullopt);
  EXPECT_EQ(dump_exactly(*json), text);
  EXPECT_EQ(dump_exactly(*parse_exactly("18446744073709551616")), "18446744073709551616");
  EXPECT_TRUE(parse_exactly(std::string(64, '[') + std::string(64, ']')).has_value());
  for (const std::string& wrong : {std::string(), std::string("{"), std::string("{}{}"), std::string("{}\0x", 4),
                                   std::string(100'000, '['), std::string("\"\xff\"")})
    EXPECT_FALSE(parse_exactly(wrong).has_value()) << wrong.substr(0, 20);
}

using JsonFile = ScratchTest;

TEST_F(JsonFile, size_is_bounded) {
  put(dir_ / "f.json", "[1, 2, 3]");
  EXPECT_EQ(read_json(dir_ / "f.json", 9).size(), 3u);
  EXPECT_TRUE(contains(error_of([&] { read_json(dir_ / "f.json", 8); }), "f.json"));
}

TEST(Utf8, replaces_each_maximal_invalid_part_once) {
  // The table of Unicode's chapter 3, "U+FFFD substitution of maximal subparts", and Python's answers.
  EXPECT_EQ(utf8_lossy("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(utf8_lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(utf8_lossy("\xED\xA0\x80\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(utf8_lossy("x\xF0\x9F\x98"), "x\uFFFD");
}

TEST(Utf8, what_is_appended_is_decoded_again_and_nothing_else_is_valid) {
  for (char32_t c = 0; c <= 0x110000; c += c < 0x900 || (c > 0xD700 && c < 0xE100) ? 1 : 13) {
    std::string text;
    utf8_append(text, c);
    const bool character = c < 0xD800 || (c > 0xDFFF && c <= 0x10FFFF);
    ASSERT_EQ(is_utf8(text), character) << std::hex << static_cast<uint32_t>(c);
    if (!character) continue;
    ASSERT_EQ(utf8_step(text, 0).length, text.size());
    ASSERT_EQ(utf8_decode(text, 0), c);
    ASSERT_EQ(count_utf8(text), 1u);
    for (size_t n = 1; n < text.size(); ++n)
      ASSERT_EQ(utf8_step(text.substr(0, n), 0).kind, Utf8::truncated) << std::hex << static_cast<uint32_t>(c);
  }
}

TEST(Utf8, ascii_case_leaves_other_letters_alone) {
  EXPECT_EQ(in_ascii_lower("ÀB-Z[@"), "Àb-z[@");
  EXPECT_EQ(in_ascii_upper("àb-z{`"), "àB-Z{`");
}

}  // namespace
}  // namespace ingrain
