#include "base/json.h"
#include "base/text.h"
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

using JsonFile = ScratchTest;

TEST_F(JsonFile, size_is_bounded) {
  put(dir_ / "f.json", "[1, 2, 3]");
  EXPECT_EQ(read_json(dir_ / "f.json", 9).size(), 3u);
  EXPECT_TRUE(contains(error_of([&] { read_json(dir_ / "f.json", 8); }), "f.json"));
}

}  // namespace
}  // namespace ingrain
