#include "grammar_walks.h"
#include "scratch.h"

#include <bit>
#include <ctime>

namespace ingrain::serve {
namespace {

using Json = nlohmann::ordered_json;

class JsonGrammar : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tokenizer_ = std::make_unique<tokenizer::Tokenizer>(fixture_tokenizer("qwen.json"));
    trie_ = std::make_shared<TokenTrie>(*tokenizer_);
  }
  static void TearDownTestSuite() {
    trie_.reset();
    tokenizer_.reset();
  }

  static std::shared_ptr<const Constraint> of(const std::string& schema) {
    return json_constraint(Json::parse(schema), trie_);
  }
  /// By bytes, in the tokenizer's tokens, and cut at random: all must say the same.
  static bool accepts(const std::string& schema, const std::string& text) {
    const auto constraint = of(schema);
    const bool by_bytes = takes_bytes(*constraint, text);
    EXPECT_EQ(takes(*constraint, *trie_, tokenizer_->encode(text, {.parse_added = false})), by_bytes) << text;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(takes(*constraint, *trie_, cut_at_random(text)), by_bytes) << text;
    return by_bytes;
  }
  static std::vector<int32_t> cut_at_random(const std::string& text) {
    std::vector<int32_t> out;
    for (size_t at = 0; at < text.size();) {
      std::vector<int32_t> fitting;
      for (int32_t id = 0; id < static_cast<int32_t>(trie_->vocab_size()); ++id)
        if (const auto bytes = trie_->bytes(id); !bytes.empty() && std::string_view(text).substr(at).starts_with(bytes))
          fitting.push_back(id);
      if (fitting.empty()) return {-1};
      out.push_back(fitting[random_() % fitting.size()]);
      at += trie_->bytes(out.back()).size();
    }
    return out;
  }
  static std::string refusal(const std::string& schema) {
    return error_of([&] { of(schema); });
  }

  static inline std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  static inline std::shared_ptr<const TokenTrie> trie_;
  static inline std::mt19937_64 random_{7};
};

TEST_F(JsonGrammar, no_schema_is_any_json_object) {
  for (const char* text : {R"({})", R"({"a":1})", R"({"a": [1, 2.5e-7, {"b": null}], "c": "\u00e9\ud83d\ude00"})",
                           "{\n  \"a\": [\n    true,\n    false\n  ],\n  \"b\": {}\n}"}) {
    const auto any = json_constraint(nullptr, trie_);
    EXPECT_TRUE(takes_bytes(*any, text)) << text;
    EXPECT_TRUE(takes(*any, *trie_, tokenizer_->encode(text, {.parse_added = false}))) << text;
  }
  for (const char* text : {"[]",
                           "1",
                           "",
                           "{",
                           R"({"a"})",
                           R"({"a":})",
                           R"({"a":1,})",
                           R"({a:1})",
                           R"({"a":01})",
                           "{} ",
                           R"({"a":1 ,"b":2})",
                           R"({"a"   :1})",
                           "{}{}",
                           R"({"a":+1})",
                           R"({"a":.5})",
                           R"({"a":1.})",
                           R"({"a":1e})",
                           R"({"a":NaN})",
                           R"({'a':1})",
                           "{\n\n}"})
    EXPECT_FALSE(takes_bytes(*json_constraint(nullptr, trie_), text)) << text;
}

TEST_F(JsonGrammar, strings_are_valid_utf8_with_whole_escapes_and_paired_surrogates) {
  const std::string s = R"({"type": "string"})";
  for (const std::string text : {R"("")", R"("é日本👍🏽")", R"("\"\\\/\b\f\n\r\t")",
                                 R"("\u00e9\uD83D\uDE00\uD7FF\uE000")", "\"\x7F\xC2\x80\xF4\x8F\xBF\xBF\""})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const std::string text :
       {"\"\n\"", "\"\t\"", "\"\x80\"", "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xC3\"",
        "\"\xE6\x97\"", R"("\x41")", R"("\u12")", R"("\uD83D")", R"("\uD83Dx")", R"("\uD83D\n")", R"("\uD83D\u0041")",
        R"("\uDE00")", R"("\u00g0")"})
    EXPECT_FALSE(takes_bytes(*of(s), text)) << text;
}

TEST_F(JsonGrammar, lengths_count_characters_however_they_are_written) {
  const std::string s = R"({"type": "string", "minLength": 2, "maxLength": 3})";
  for (const std::string text : {R"("ab")", R"("日本語")", R"("\u0041\ud83d\ude00")", R"("👍👍👍")", R"("\n\n\n")"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const std::string text : {R"("a")", R"("abcd")", R"("日本語x")", R"("\ud83d\ude00")", R"("👍👍👍\n")"})
    EXPECT_FALSE(accepts(s, text)) << text;
}

TEST_F(JsonGrammar, properties_come_in_order_and_required_ones_come) {
  const std::string s = R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"},
    "ab": {"type": "null"}}, "required": ["b"], "additionalProperties": false})";
  for (const char* text :
       {R"({"a": 1, "b": "", "ab": null})", R"({"b":"x"})", R"({"b":"x","ab":null})", R"({"a":0,"b":""})"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {R"({})", R"({"a": 1})", R"({"b": "", "a": 1})", R"({"ab": null})", R"({"b": "", "c": 1})",
                           R"({"b": "", "b": ""})", R"({"b": 1})", R"({"a": 1.0, "b": ""})", R"({"\u0062": ""})"})
    EXPECT_FALSE(accepts(s, text)) << text;
}

TEST_F(JsonGrammar, other_names_come_last_follow_their_schema_and_are_never_given_twice) {
  const std::string s = R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    "additionalProperties": {"type": "boolean"}})";
  for (const char* text : {R"({"x": true})", R"({"a": 1, "x": true, "y": false})",
                           R"({"": true, "aa": true, "A": true})", R"({"b": "", "\u00e9": true, "\"": false})"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {R"({"x": 1})", R"({"x": true, "a": 1})", R"({"a": true})", R"({"\u0061": true})",
                           R"({"x": true, "x": true})", R"({"x": true, "\u0078": true})", R"({"b": "", "a": true})",
                           R"({"é": true, "\u00E9": true})", R"({"😀": true, "\uD83D\ude00": false})"})
    EXPECT_FALSE(accepts(s, text)) << text;
}

TEST_F(JsonGrammar, a_required_name_without_a_property_has_the_schema_of_the_others) {
  const std::string s = R"({"type": "object", "required": ["z"], "additionalProperties": {"type": "integer"}})";
  EXPECT_TRUE(accepts(s, R"({"z": 1, "a": 2})"));
  EXPECT_FALSE(accepts(s, R"({"a": 2})"));
  EXPECT_TRUE(contains(refusal(R"({"type": "object", "required": ["z"], "additionalProperties": false})"),
                       "schema.required: names 'z'"));
}

TEST_F(JsonGrammar, arrays_have_their_items_and_their_number) {
  const std::string s = R"({"type": "array", "items": {"enum": [1, 12, 2]}, "minItems": 1, "maxItems": 3})";
  for (const char* text : {"[1]", "[12, 1, 2]", "[1,12]", "[\n  1,\n  12\n]"}) EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {"[]", "[3]", "[1,2,1,2]", "[1,]", "[,1]", "[112]", "[1 2]"})
    EXPECT_FALSE(accepts(s, text)) << text;
  const std::string tuple =
      R"({"type": "array", "prefixItems": [{"type": "null"}, {"type": "boolean"}], "items": false})";
  for (const char* text : {"[]", "[null]", "[null, true]"}) EXPECT_TRUE(accepts(tuple, text)) << text;
  for (const char* text : {"[true]", "[null, true, 1]"}) EXPECT_FALSE(accepts(tuple, text)) << text;
}

TEST_F(JsonGrammar, integers_keep_their_bounds_exactly) {
  for (const auto& [low, high] :
       {std::pair(-13, 105), std::pair(0, 7), std::pair(-30, -2), std::pair(10, 10), std::pair(-1, 0)}) {
    const Json schema = {{"type", "integer"}, {"minimum", low}, {"maximum", high}};
    const auto constraint = json_constraint(schema, trie_);
    for (int i = -200; i <= 1200; ++i)
      EXPECT_EQ(takes_bytes(*constraint, std::to_string(i)), i >= low && i <= high) << i << " " << low << " " << high;
    EXPECT_FALSE(takes_bytes(*constraint, "-0"));
  }
  EXPECT_TRUE(accepts(R"({"type": "integer", "exclusiveMinimum": 1.5, "exclusiveMaximum": 4})", "2"));
  EXPECT_TRUE(accepts(R"({"type": "integer", "exclusiveMinimum": 1.5, "exclusiveMaximum": 4})", "3"));
  EXPECT_FALSE(accepts(R"({"type": "integer", "exclusiveMinimum": 1.5, "exclusiveMaximum": 4})", "4"));
  EXPECT_TRUE(accepts(R"({"type": "integer"})", "-999999999999999999"));
  EXPECT_FALSE(accepts(R"({"type": "integer"})", "1000000000000000000"));
}

TEST_F(JsonGrammar, numbers_between_bounds_are_decimals) {
  const std::string s = R"({"type": "number", "minimum": -0.5, "exclusiveMaximum": 1.25})";
  for (const char* text : {"0", "1", "-0.5", "-0.000001", "1.249999", "0.1", "-0.49", "1.0"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {"-1", "1.25", "2", "-0.500001", "1.3", "0.0000001", "1e-1", "10"})
    EXPECT_FALSE(accepts(s, text)) << text;
  EXPECT_TRUE(accepts(R"({"type": "number"})", "-12.5e+10"));
  EXPECT_FALSE(accepts(R"({"type": "number"})", "1e999")) << "no double";
  EXPECT_TRUE(contains(refusal(R"({"type": "number", "minimum": 2, "maximum": 1})"), "schema: no number"));
  EXPECT_TRUE(contains(refusal(R"({"type": "integer", "minimum": 1.2, "maximum": 1.8})"), "no number"));
}

TEST_F(JsonGrammar, enum_and_const_are_their_values) {
  const std::string s = R"({"enum": ["a", "ab", 1, 12, null, [1, {"x": "y"}], true, "\n\u00e9"]})";
  for (const char* text : {R"("a")", R"("ab")", "1", "12", "null", R"([1, {"x": "y"}])", "true", R"("\né")"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {R"("b")", R"("abc")", "2", "123", "false", R"([1, {"x": "z"}])", R"([1])"})
    EXPECT_FALSE(accepts(s, text)) << text;
  EXPECT_FALSE(accepts(R"({"type": "string", "enum": ["a", 1]})", "1"));
  EXPECT_TRUE(accepts(R"({"const": {"k": []}})", R"({"k": []})"));
  EXPECT_TRUE(contains(refusal(R"({"type": "string", "enum": [1]})"), "no text of finite length"));
}

TEST_F(JsonGrammar, any_of_follows_every_reading) {
  const std::string s = R"({"anyOf": [
    {"type": "object", "properties": {"k": {"const": "a"}, "v": {"type": "integer"}}, "required": ["k", "v"], "additionalProperties": false},
    {"type": "object", "properties": {"k": {"enum": ["a", "b"]}, "v": {"type": "string"}}, "required": ["k", "v"], "additionalProperties": false},
    {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "integer"}]}},
    {"type": ["null", "boolean"]}]})";
  for (const char* text :
       {R"({"k": "a", "v": 1})", R"({"k": "a", "v": "x"})", R"({"k": "b", "v": ""})", "[1, 2.5]", "null", "true"})
    EXPECT_TRUE(accepts(s, text)) << text;
  for (const char* text : {R"({"k": "b", "v": 1})", R"({"k": "c", "v": ""})", "1", R"({"k": "a"})"})
    EXPECT_FALSE(accepts(s, text)) << text;
}

TEST_F(JsonGrammar, one_of_is_any_of_where_branches_differ_plainly) {
  const std::string tagged = R"({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}], "$defs": {
    "cat": {"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"], "additionalProperties": false},
    "dog": {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"], "additionalProperties": false}}})";
  EXPECT_TRUE(accepts(tagged, R"({"kind": "dog"})"));
  EXPECT_FALSE(accepts(tagged, R"({"kind": "cow"})"));
  EXPECT_TRUE(accepts(R"({"oneOf": [{"type": "string"}, {"type": "null"}]})", "null"));
  for (
      const char* schema :
      {R"({"oneOf": [{"type": "number"}, {"type": "integer"}]})", R"({"oneOf": [{}, {"type": "null"}]})",
       R"({"oneOf": [{"type": "object", "properties": {"k": {"const": 1}}}, {"type": "object", "properties": {"k": {"const": 2}}}]})"})
    EXPECT_TRUE(contains(refusal(schema), "schema.oneOf: one value might satisfy branches 0 and 1")) << schema;
}

TEST_F(JsonGrammar, references_may_be_recursive) {
  const std::string list = R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties":
    {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"], "additionalProperties": false}}})";
  EXPECT_TRUE(accepts(list, R"({"value": 1, "next": {"value": 2, "next": null}})"));
  EXPECT_FALSE(accepts(list, R"({"value": 1, "next": {"value": 2}})"));
  EXPECT_TRUE(
      accepts(R"({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "null"}]})", "[[], [null, [[]]]]"));
  EXPECT_TRUE(accepts(R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "null")) << "a circle of aliases";
  EXPECT_TRUE(accepts(R"({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"const": 1}}})", "1"));
}

TEST_F(JsonGrammar, what_can_never_end_is_left_out_or_refused) {
  EXPECT_TRUE(contains(refusal(R"({"$ref": "#"})"), "no text of finite length"));
  EXPECT_TRUE(contains(refusal(R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})"),
                       "no text of finite length"));
  EXPECT_TRUE(contains(refusal("false"), "no text of finite length"));
  const std::string s = R"({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"type": "null"}},
    "$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/x"}, "minItems": 1}}})";
  EXPECT_TRUE(accepts(s, R"({"b": null})"));
  EXPECT_FALSE(accepts(s, R"({"a": 1})")) << "its name is not one of the others'";
}

TEST_F(JsonGrammar, what_is_not_supported_is_refused_by_its_path) {
  const std::string where = "response_format.json_schema.schema";
  for (const auto& [schema, path] : std::vector<std::pair<std::string, std::string>>{
           {R"({"type": "object", "properties": {"age": {"type": "string", "pattern": "a"}}})",
            ".properties.age.pattern: is not supported"},
           {R"({"type": "string", "format": "date"})", ".format: is not supported"},
           {R"({"items": {"multipleOf": 2}})", ".items.multipleOf"},
           {R"({"anyOf": [{}, {"not": {}}]})", ".anyOf[1].not"},
           {R"({"$ref": "#/$defs/x", "$defs": {"x": {"if": {}}}})", ".$defs.x.if"},
           {R"({"type": "object", "patternProperties": {}})", ".patternProperties"},
           {R"({"type": "object", "minProperties": 1})", ".minProperties"},
           {R"({"type": "array", "uniqueItems": true})", ".uniqueItems"},
           {R"({"type": "array", "items": [{}]})", ".items: as a list"},
           {R"({"allOf": [{}, {}]})", ".allOf"},
           {R"({"anyOf": [{}], "type": "object"})", ".type: is not supported beside anyOf"},
           {R"({"$ref": "https://example.org/x"})", ".$ref: 'https://example.org/x' is not supported"},
           {R"({"$ref": "#/$defs/none"})", ".$ref: '#/$defs/none' is not there"},
           {R"({"type": "strnig"})", ".type: is none of object, array"},
           {R"({"type": "string", "minLength": -1})", ".minLength: must be a whole number"},
           {R"({"type": "string", "minLength": 5, "maxLength": 2})", ".minLength: is above maxLength"},
           {R"({"enum": []})", ".enum: must be a list"},
           {R"({"type": "integer", "minimum": "1"})", ".minimum: must be a number"},
           {"[]", ": a schema is an object"}}) {
    const std::string text = refusal(schema);
    EXPECT_TRUE(text.starts_with(where + path)) << schema << "\n" << text;
  }
}

TEST_F(JsonGrammar, what_only_tells_people_is_passed_over) {
  EXPECT_TRUE(
      accepts(R"({"$schema": "x", "title": "t", "description": "d", "default": 1, "examples": [1], "$comment": "c",
    "type": "integer", "deprecated": true})",
              "7"));
}

TEST_F(JsonGrammar, white_space_is_bounded) {
  const auto any = json_constraint(nullptr, trie_);
  const auto walk = any->clone();
  std::string text;
  auto& bytes = dynamic_cast<GrammarWalk&>(*walk);
  ASSERT_TRUE(bytes.accept_bytes(R"({"a":)"));
  for (int i = 0; i < 200 && bytes.accept_bytes(" "); ++i) text += " ";
  EXPECT_EQ(text, " ");
  ASSERT_TRUE(bytes.accept_bytes("1,"));
  for (int i = 0; i < 200; ++i)
    if (bytes.accept_bytes("\n") || bytes.accept_bytes(" ")) text += "+";
  EXPECT_LT(text.size(), 50u);
  EXPECT_TRUE(bytes.accept_bytes("\"b\": 2}"));
  EXPECT_TRUE(walk->complete());
}

TEST_F(JsonGrammar, nesting_is_bounded_and_what_must_be_is_written) {
  const auto walk = of(R"({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "null"}]})")->clone();
  auto& bytes = dynamic_cast<GrammarWalk&>(*walk);
  int depth = 0;
  while (depth < 1000 && bytes.accept_bytes("[")) ++depth;
  EXPECT_EQ(depth, 64);
  EXPECT_TRUE(bytes.accept_bytes(std::string(static_cast<size_t>(depth), ']')));
  EXPECT_TRUE(walk->complete());
}

TEST_F(JsonGrammar, special_and_added_tokens_are_no_text) {
  const auto any = json_constraint(nullptr, trie_)->clone();
  const auto none_of_them = [&] {
    const auto bits = mask_of(*any, *trie_);
    for (const auto& token : tokenizer_->added_tokens()) EXPECT_FALSE(has_bit(bits, token.id)) << token.content;
  };
  none_of_them();
  dynamic_cast<GrammarWalk&>(*any).accept_bytes(R"({"a)");
  none_of_them();
  dynamic_cast<GrammarWalk&>(*any).accept_bytes(R"(": ")");
  none_of_them();
}

TEST_F(JsonGrammar, a_clone_goes_on_by_itself_and_memory_stays_bounded) {
  const auto walk = json_constraint(nullptr, trie_)->clone();
  auto& bytes = dynamic_cast<GrammarWalk&>(*walk);
  ASSERT_TRUE(bytes.accept_bytes("{\"a\": [0"));
  const auto other = walk->clone();
  for (int i = 0; i < 20000; ++i) ASSERT_TRUE(bytes.accept_bytes(", {\"x\": \"y\"}"));
  ASSERT_TRUE(bytes.accept_bytes("]}"));
  EXPECT_TRUE(walk->complete());
  EXPECT_FALSE(other->complete());
  EXPECT_TRUE(dynamic_cast<GrammarWalk&>(*other).accept_bytes("]}"));
}

TEST_F(JsonGrammar, a_token_that_was_not_allowed_is_an_error) {
  const auto walk = json_constraint(nullptr, trie_)->clone();
  EXPECT_TRUE(contains(error_of([&] { walk->accept(*tokenizer_->token_to_id("a")); }), "cannot come next"));
}

// The mask, which takes shortcuts, against the definition: whether the token's bytes may come.
TEST_F(JsonGrammar, the_mask_is_what_bytes_allow_at_every_place) {
  const std::string schema = R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 4},
    "n": {"type": "integer", "minimum": -3, "maximum": 120}, "kind": {"enum": ["a\"b", "ab", "é"]},
    "any": {}, "list": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}, "maxItems": 2}},
    "required": ["n"], "additionalProperties": {"type": "string", "minLength": 1}})";
  const std::string text =
      "{\"name\": \"aé\\n\\ud83d\\ude00\", \"n\": -2, \"kind\": \"a\\\"b\", \"any\": {\"x\": [null, 1.5e3]}, "
      "\"list\": [\"日\", 2], \"other\": \"x y\"}";
  const auto walk = of(schema)->clone();
  auto& bytes = dynamic_cast<GrammarWalk&>(*walk);
  for (size_t i = 0; i <= text.size(); ++i) {
    const auto bits = mask_of(*walk, *trie_);
    for (int32_t id = 0; id < static_cast<int32_t>(trie_->vocab_size()); ++id) {
      const auto copy = walk->clone();
      const bool may = !trie_->bytes(id).empty() && dynamic_cast<GrammarWalk&>(*copy).accept_bytes(trie_->bytes(id));
      ASSERT_EQ(has_bit(bits, id), may) << "'" << trie_->bytes(id) << "' after " << text.substr(0, i);
    }
    if (i == text.size()) break;
    ASSERT_TRUE(bytes.accept_bytes(text.substr(i, 1))) << text.substr(0, i + 1);
  }
  EXPECT_TRUE(walk->complete());
}

TEST_F(JsonGrammar, random_walks_end_as_json_that_is_parsed) {
  for (const char* schema :
       {"null", "{}", R"({"type": "string", "maxLength": 40})", R"({"type": "number"})",
        R"({"type": "array", "items": {"type": "integer", "minimum": 5, "maximum": 5000}, "minItems": 3})"}) {
    const auto constraint = json_constraint(Json::parse(schema), trie_);
    int ended = 0;
    for (int i = 0; i < 40; ++i) {
      const std::string text = random_text(*constraint, *trie_, random_, 60);
      if (text.empty()) continue;
      ++ended;
      EXPECT_NO_THROW(Json::parse(text)) << text;
    }
    EXPECT_GT(ended, 30) << schema;
  }
}

TEST_F(JsonGrammar, hostile_schemas_are_bounded) {
  // Two objects that differ in nothing that is written first: readings double with every level.
  const std::string twice = R"({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}, {"type": "null"}], "$defs": {
    "a": {"type": "object", "properties": {"x": {"$ref": "#"}, "y": {"type": "null"}}},
    "b": {"type": "object", "properties": {"x": {"$ref": "#"}, "z": {"type": "null"}}}}})";
  const auto walk = of(twice)->clone();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(dynamic_cast<GrammarWalk&>(*walk).accept_bytes("{\"x\":"));
  mask_of(*walk, *trie_);
  ASSERT_TRUE(dynamic_cast<GrammarWalk&>(*walk).accept_bytes("null" + std::string(40, '}')));

  // No object of a request has more than 1,024 members.
  const auto place = [](int i) { return fmt::format("{}/{}", i / 1000, i % 1000); };
  Json chain = {{"$ref", "#/$defs/0/0"}, {"$defs", {{"9", {{"0", {{"type", "null"}}}}}}}};
  for (int group = 0; group < 9; ++group) {
    Json defs = Json::object();
    for (int i = 0; i < 1000; ++i)
      defs[std::to_string(i)] = {{"type", "object"},
                                 {"properties", {{"n", {{"$ref", "#/$defs/" + place(1000 * group + i + 1)}}}}},
                                 {"required", {"n"}},
                                 {"additionalProperties", false}};
    chain["$defs"][std::to_string(group)] = std::move(defs);
  }
  EXPECT_TRUE(json_constraint(chain, trie_)) << "a long chain of references";

  Json some = {{"type", "object"}};
  for (int i = 0; i < 1000; ++i) some["properties"]["p" + std::to_string(i)] = {{"maxLength", i}};
  const Json wide = {{"type", "array"}, {"prefixItems", std::vector<Json>(30, some)}};
  EXPECT_TRUE(contains(error_of([&] { json_constraint(wide, trie_); }), "make it smaller"));

  Json deep = {{"type", "null"}};
  for (int i = 0; i < 200; ++i) deep = {{"type", "array"}, {"items", deep}};
  EXPECT_TRUE(contains(error_of([&] { json_constraint(deep, trie_); }), "nested more than"));

  Json many = {{"anyOf", Json::array()}};
  for (int i = 0; i < 500; ++i) many["$defs"]["d" + std::to_string(i)] = {{"anyOf", Json::array()}};
  for (auto& [name, def] : many["$defs"].items())
    for (int i = 0; i < 38; ++i) def["anyOf"].push_back({{"$ref", fmt::format("#/$defs/d{}", i)}});
  many["anyOf"] = {{{"$ref", "#/$defs/d7"}}, {{"type", "null"}}};
  const std::clock_t started = std::clock();  // the processor's time, so that a busy machine changes nothing
  error_of([&] { json_constraint(many, trie_); });
  EXPECT_LT(static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC, 20);
}

TEST(TokenTrie, finds_every_token_of_text_once) {
  for (const char* name : {"qwen.json", "llama.json", "gpt2.json"}) {
    const auto tokenizer = fixture_tokenizer(name);
    const TokenTrie trie(tokenizer);
    std::vector<uint64_t> walked((trie.vocab_size() + 63) / 64), text = walked;
    std::string bytes;
    for (const auto& node : trie.all()) {
      bytes.resize(node.depth);
      bytes += static_cast<char>(node.byte);
      if (node.token < 0) continue;
      EXPECT_EQ(trie.bytes(node.token), bytes);
      set_bit(walked, node.token);
    }
    trie.add_equals(walked);
    trie.add_text(text);
    EXPECT_EQ(walked, text);
    for (int32_t id = 0; id < static_cast<int32_t>(trie.vocab_size()); ++id) {
      const auto added = tokenizer.added_tokens();
      const bool is_added = std::any_of(added.begin(), added.end(), [&](const auto& a) { return a.id == id; });
      EXPECT_EQ(has_bit(text, id), !is_added && !tokenizer.id_to_bytes(id).empty()) << id;
    }
  }
}

}  // namespace
}  // namespace ingrain::serve
