#include "serve/grammar/tool_watch.h"

#include "answer_parts.h"
#include "scratch.h"

namespace ingrain::serve {
namespace {

/// Tokens of `text` one by one: whether all are allowed, and the text may end after them.
bool watched(const Constraint& constraint, const TokenTrie& trie, const tokenizer::Tokenizer& tokenizer,
             const std::string& text) {
  return takes(constraint, trie, tokenizer.encode(text));
}

TEST(CallWatch, text_is_free_and_calls_follow_their_schema) {
  for (const bool marks : {true, false}) {
    const auto tokenizer = marks ? with_marks() : fixture_tokenizer("qwen.json");
    const auto trie = std::make_shared<TokenTrie>(tokenizer);
    const auto constraint =
        watch_calls({.reader = {.tools = ToolFormat::tagged, .names = {"f", "now"}}, .tools = two_tools()}, trie);
    const std::string one = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 12}}\n</tool_call>";
    const std::string now = "<tool_call>{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    for (const std::string& text :
         {std::string(), std::string("{\"x\": \"y\"} <tool"), "Well <b>, " + one, one + "\n" + now + " Done <tool>.",
          std::string("<tool_ call>{}"), std::string("< tool_call>{\"name\": 3}")})
      EXPECT_TRUE(watched(*constraint, *trie, tokenizer, text)) << text << marks;
    for (const std::string& text :
         {std::string("<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>"),
          "So: " + std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"\"}}\n</tool_call>"),
          one + std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>"),
          std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}"), std::string("<tool_call>"),
          std::string("<tool_call>[1]")})
      EXPECT_FALSE(watched(*constraint, *trie, tokenizer, text)) << text << marks;
  }
}

TEST(CallWatch, a_call_is_the_last_where_there_may_be_but_one) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto constraint = watch_calls(
      {.reader = {.tools = ToolFormat::tagged, .names = {"f", "now"}}, .tools = two_tools(), .parallel = false}, trie);
  const auto walk = constraint->clone();
  for (const int32_t token : tokenizer.encode("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>")) {
    EXPECT_FALSE(walk->complete());
    walk->accept(token);
  }
  EXPECT_TRUE(walk->complete());
  EXPECT_FALSE(constraint->clone()->complete());
}

TEST(CallWatch, what_a_thought_says_is_no_call) {
  for (const bool marks : {true, false}) {
    const auto tokenizer = marks ? with_marks() : fixture_tokenizer("qwen.json");
    const auto trie = std::make_shared<TokenTrie>(tokenizer);
    const AnswerReader::Options reader{.tools = ToolFormat::tagged, .names = {"f", "now"}, .thoughts = true};
    const auto constraint = watch_calls({.reader = reader, .tools = two_tools()}, trie);
    const std::string thought = "<think>\nI say <tool_call>{\"name\": 3}.\n</think>\n\n";
    EXPECT_TRUE(watched(*constraint, *trie, tokenizer, thought + "Yes."));
    EXPECT_TRUE(watched(*constraint, *trie, tokenizer,
                        thought + "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
    EXPECT_FALSE(watched(*constraint, *trie, tokenizer, thought + "<tool_call>\n{\"name\": 3}"));
    EXPECT_FALSE(watched(*constraint, *trie, tokenizer, "<think>a</think><tool_call>{\"name\": 3}"));
  }
}

TEST(CallWatch, llama_calls_are_held_once_they_name_a_tool) {
  const auto tokenizer = fixture_tokenizer("qwen.json");
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto constraint =
      watch_calls({.reader = {.tools = ToolFormat::llama3, .names = {"f", "now"}}, .tools = two_tools()}, trie);
  for (const std::string text :
       {R"({"name": "f", "parameters": {"x": 12}})", R"({"name":"now", "parameters": {}})",
        R"({"name": "Bob", "age": 3)",
        R"({"type": "function", "name": "f", "parameters": {"x": 1}}; {"name": "now", "parameters": {}})",
        R"({"age": 3})", R"(So: {"name": "f", "x")", "{", "Hello"})
    EXPECT_TRUE(watched(*constraint, *trie, tokenizer, text)) << text;
  for (const std::string text :
       {R"({"name": "f", "parameters": {"x": ""}})", R"({"name": "f"})", R"({"name": "f", "parameters": {}})",
        R"({"name": "f", "parameters": {"x": 12})", R"({"name": "f"; )"})
    EXPECT_FALSE(watched(*constraint, *trie, tokenizer, text)) << text;
}

TEST(CallWatch, what_it_lets_a_model_write_is_read_as_a_call) {
  std::mt19937_64 random(5);
  for (const bool marks : {true, false})
    for (const ToolFormat format : {ToolFormat::tagged, ToolFormat::llama3}) {
      const auto tokenizer = marks ? with_marks() : fixture_tokenizer("qwen.json");
      const auto trie = std::make_shared<TokenTrie>(tokenizer);
      const AnswerReader::Options reader{.tools = format, .names = {"f", "now"}, .certain = true};
      const auto constraint = watch_calls({.reader = reader, .tools = two_tools()}, trie);
      for (int i = 0; i < 10; ++i) {
        const auto walk = constraint->clone();
        std::string text;
        const auto write = [&](int32_t id) {
          walk->accept(id);
          text += tokenizer.id_to_bytes(id);
        };
        const std::string begin = format == ToolFormat::tagged ? "Hm. <tool_call>" : "{\"name\": \"f\"";
        for (const int32_t id : tokenizer.encode(begin)) write(id);
        while (!walk->may_end()) {
          const auto ids = ids_of(mask_of(*walk, *trie));
          ASSERT_FALSE(ids.empty()) << text;
          write(ids[random() % ids.size()]);
        }
        const Parts parts = read(reader, text);
        ASSERT_FALSE(parts.empty());
        EXPECT_EQ(parts.back().kind, kCall) << text;
        EXPECT_TRUE(parts.back().whole) << text;
        if (parts.back().text != "f") continue;
        EXPECT_TRUE(nlohmann::json::parse(parts.back().arguments).at("x").is_number_integer());
      }
    }
}

TEST(CallWatch, no_token_runs_over_a_mark_into_what_no_call_says) {
  auto json = nlohmann::json::parse(read_file(std::string(INGRAIN_TEST_FIXTURES) + "/tokenizers/qwen.json", 1 << 24));
  auto& vocabulary = json["model"]["vocab"];
  const std::string over = "_call>x", fits = "_call>{";
  int64_t id = static_cast<int64_t>(vocabulary.size() + json["added_tokens"].size());
  for (const std::string& token : {over, fits}) vocabulary[token] = id++;
  const auto tokenizer = tokenizer::Tokenizer::from_json(json.dump(), {}, "with long tokens");
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto walk =
      watch_calls({.reader = {.tools = ToolFormat::tagged, .names = {"f", "now"}}, .tools = two_tools()}, trie)
          ->clone();
  for (const int32_t id : tokenizer.encode("Hm <tool")) walk->accept(id);
  const auto mask = mask_of(*walk, *trie);
  EXPECT_FALSE(has_bit(mask, *tokenizer.token_to_id(over)));
  ASSERT_TRUE(has_bit(mask, *tokenizer.token_to_id(fits)));
  walk->accept(*tokenizer.token_to_id(fits));
  for (const int32_t id : ids_of(mask_of(*walk, *trie))) EXPECT_EQ(tokenizer.id_to_bytes(id)[0], '"');
}

TEST(CallWatch, a_schema_that_no_grammar_can_hold_to_is_refused_where_it_is_strict_and_else_any_object) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  CallRules rules{.reader = {.tools = ToolFormat::tagged, .names = {"f", "now"}}, .tools = two_tools()};
  rules.tools[0]["function"]["parameters"]["properties"]["x"]["format"] = "int32";
  EXPECT_TRUE(watched(*watch_calls(rules, trie), *trie, tokenizer,
                      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"y\": []}}\n</tool_call>"));
  rules.strict = {"f"};
  EXPECT_TRUE(contains(error_of([&] { watch_calls(rules, trie); }), "properties.x.format: is not supported"));
}

}  // namespace
}  // namespace ingrain::serve
