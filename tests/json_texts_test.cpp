#include "base/json_texts.h"

#include "base/json.h"
#include "scratch.h"

#include <gtest/gtest.h>

namespace ingrain {
namespace {

using Ordered = nlohmann::ordered_json;  // several files are compiled as one, and another has a Json

std::optional<Ordered> parsed(const std::string& text) {
  Ordered out = Ordered::parse(text, nullptr, /*allow_exceptions=*/false);
  return out.is_discarded() ? std::nullopt : std::optional(std::move(out));
}

/// The same, every string value cut out that can be.
std::optional<Ordered> parsed_in_parts(const std::string& text) {
  auto cut = cut_long_texts(text, 0);
  if (!cut) return parsed(text);
  auto out = parsed(cut->json);
  if (out) put_back(*out, *cut);
  return out;
}

TEST(LongTexts, are_what_the_parser_makes_of_them) {
  for (const char* text : {R"({"a": "b", "c": ["d", {"e": "f"}], "g": 1, "h": ""})", R"("alone")",
                           R"(["\"", "\\", "\\\"", "\/\b\f\n\r\t"])",
                           R"(["\u00e9\u4E2d", "\ud83d\ude00", "\uD83D\uDE00!", "a\u0000b"])", R"({"k\"ey" : "v", "k2"
          : "v2"})",
                           "\xEF\xBB\xBF[\"after a byte order mark\"]", "[\"\u00e9 \u4e2d \U0001F600 \x7f\"]",
                           R"(["\u0001", "x"])", R"(["x", "\u00010"])", R"(["\u0002", "\\u0001"])", "[]", "\"\""}) {
    ASSERT_TRUE(parsed(text)) << text;
    EXPECT_EQ(parsed_in_parts(text), parsed(text)) << text;
  }
}

TEST(LongTexts, what_is_no_json_is_none_in_parts) {
  for (const char* text : {R"(["a)",
                           R"(["a\"])",
                           R"(["\x"])",
                           R"(["\u12"])",
                           R"(["\u12g4"])",
                           R"(["\ud800"])",
                           R"(["\udc00"])",
                           R"(["\ud800\u0041"])",
                           R"(["\ud800\\udc00"])",
                           R"(["\ud83d\ude0"])",
                           "[\"a\nb\"]",
                           "[\"a\x1f\"]",
                           "[\"\xff\"]",
                           "[\"\xe4\xb8\"]",
                           "[\"\xed\xa0\x80\"]",
                           "[\"\xc0\x80\"]",
                           R"(["a" "b"])",
                           R"({"a" "b"})",
                           R"(["a"]])",
                           R"(x"a")",
                           R"(["a\)",
                           R"(["a", "\)",
                           "\"",
                           "[\"\xe4\\u00e9\"]"}) {
    ASSERT_FALSE(parsed(text)) << text;
    EXPECT_FALSE(parsed_in_parts(text)) << text;
  }
}

TEST(LongTexts, only_long_values_are_cut) {
  const std::string key(5000, 'k'), value(5000, 'v'), brief(4095, 's');
  const std::string json = "{\"" + key + "\" : \"" + value + "\", \"b\": \"" + brief + "\"}";
  const auto cut = cut_long_texts(json);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->texts, std::vector{value});
  EXPECT_EQ(cut->json.size(), json.size() - value.size() + 7);
  EXPECT_EQ(parse_own_json(json), Ordered::parse(json));
  EXPECT_FALSE(cut_long_texts("{\"" + key + "\": 1}"));
}

TEST(LongTexts, a_request_is_bounded_and_its_faults_are_named_as_without_them) {
  const std::string text = "\"" + std::string(5000, 'x') + "\"";
  EXPECT_EQ(parse_ordered_json("{\"a\": " + text + "}", "s")["a"].get<std::string>().size(), 5000u);
  EXPECT_TRUE(
      contains(error_of([&] { parse_ordered_json("{\"a\": " + text + ", \"a\": 1}", "s"); }), "'a' is given twice"));
  EXPECT_TRUE(contains(error_of([&] { parse_ordered_json("{\"a\": " + text + " 1}", "s"); }), "column 50"));
  EXPECT_TRUE(
      contains(error_of([&] { parse_ordered_json(std::string(65, '[') + text + std::string(65, ']'), "s"); }), "64"));
}

}  // namespace
}  // namespace ingrain
