#include "serve/grammar/tool_constraint.h"

#include "answer_parts.h"
#include "scratch.h"
#include "serve/grammar/thought_limit.h"

namespace ingrain::serve {
namespace {

TEST(ToolConstraint, required_calls_have_the_form_and_the_schema) {
  for (const bool marks : {true, false}) {
    const auto tokenizer = marks ? with_marks() : fixture_tokenizer("qwen.json");
    const auto trie = std::make_shared<TokenTrie>(tokenizer);
    const auto constraint = tool_constraint(ToolFormat::tagged, two_tools(), "", true, trie);
    const auto takes_text = [&](const std::string& text) { return takes(*constraint, *trie, tokenizer.encode(text)); };
    const std::string one = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 12}}\n</tool_call>";
    const std::string now = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    for (const std::string& text : {one, now, one + "\n" + now}) EXPECT_TRUE(takes_text(text)) << text << marks;
    for (const std::string& text :
         {std::string("Hello"), one + "x",
          std::string("<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>"),
          std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"\"}}\n</tool_call>"),
          std::string("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}"), std::string()})
      EXPECT_FALSE(takes_text(text)) << text << marks;
    const auto single = tool_constraint(ToolFormat::tagged, two_tools(), "now", false, trie);
    EXPECT_TRUE(takes(*single, *trie, tokenizer.encode(now)));
    EXPECT_FALSE(takes(*single, *trie, tokenizer.encode(one)));
    EXPECT_FALSE(takes(*single, *trie, tokenizer.encode(now + "\n" + now)));
  }
}

TEST(ToolConstraint, a_mark_that_is_a_token_is_written_as_one) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto walk = tool_constraint(ToolFormat::tagged, two_tools(), "", true, trie)->clone();
  EXPECT_EQ(ids_of(mask_of(*walk, *trie)), (std::vector<int32_t>{*tokenizer.token_to_id("<tool_call>")}));
}

TEST(ToolConstraint, llama_calls_too) {
  const auto tokenizer = fixture_tokenizer("qwen.json");
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto constraint = tool_constraint(ToolFormat::llama3, two_tools(), "", true, trie);
  const std::string one = R"({"name": "f", "parameters": {"x": 12}})";
  EXPECT_TRUE(takes_bytes(*constraint, one));
  EXPECT_TRUE(takes_bytes(*constraint, one + "; " + one));
  EXPECT_FALSE(takes_bytes(*constraint, R"({"name": "f", "parameters": {}})"));
}

TEST(ToolConstraint, what_the_constraint_writes_the_reader_reads) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  std::mt19937_64 random(3);
  for (const ToolFormat format : {ToolFormat::tagged, ToolFormat::llama3}) {
    const auto constraint = tool_constraint(format, two_tools(), "", true, trie);
    for (int i = 0; i < 20; ++i) {
      const auto walk = constraint->clone();
      std::string text;
      while (!walk->may_end() || random() % 2) {
        const auto ids = ids_of(mask_of(*walk, *trie));
        const int32_t id = ids[random() % ids.size()];
        walk->accept(id);
        text += tokenizer.id_to_bytes(id);
      }
      const Parts parts = read({.tools = format, .names = {"f", "now"}}, text);
      EXPECT_EQ(read({.tools = format, .names = {"f", "now"}, .certain = true}, text), parts) << text;
      ASSERT_FALSE(parts.empty());
      for (const Part& part : parts) EXPECT_TRUE(part.kind == kCall && part.whole) << text;
    }
  }
}

TEST(ToolConstraint, refusals_name_the_tool) {
  const auto trie = std::make_shared<TokenTrie>(fixture_tokenizer("qwen.json"));
  auto tools = two_tools();
  tools[0]["function"]["parameters"]["properties"]["x"]["format"] = "int32";
  EXPECT_TRUE(error_of([&] {
                tool_constraint(ToolFormat::tagged, tools, "", true, trie);
              }).starts_with("tools[0].function.parameters.properties.x.format: is not supported"));
  EXPECT_TRUE(error_of([&] {
                tool_constraint(ToolFormat::tagged, {tools, "input_schema"}, "", true, trie);
              }).starts_with("tools[0].input_schema.properties.x.format: is not supported"));
  EXPECT_TRUE(
      contains(error_of([&] { tool_constraint(ToolFormat::tagged, two_tools(), "g", true, trie); }), "'g' is no tool"));
  EXPECT_TRUE(
      contains(error_of([&] { tool_constraint(ToolFormat::none, two_tools(), "", true, trie); }), "tool_choice"));
}

TEST(ToolConstraint, thoughts_may_come_first) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto json = [&](Thinking thinking, const std::string& text) {
    return takes(*json_constraint(nullptr, trie, thinking), *trie, tokenizer.encode(text));
  };
  EXPECT_TRUE(json(Thinking::may, "{}"));
  EXPECT_TRUE(json(Thinking::may, "<think>\nA { and \" too.\n</think>\n\n{\"a\": 1}"));
  EXPECT_TRUE(json(Thinking::may, "<think></think>\n\n{}"));
  EXPECT_FALSE(json(Thinking::may, "<think>a"));
  EXPECT_FALSE(json(Thinking::may, "<think>a</think>\n\nb"));
  EXPECT_TRUE(json(Thinking::begun, "a</think>\n\n{}"));
  EXPECT_FALSE(json(Thinking::begun, "{}"));
  EXPECT_FALSE(json(Thinking::none, "<think>a</think>\n\n{}"));
}

TEST(ThoughtLimit, thoughts_end_after_so_many_tokens_and_the_rest_is_as_it_was) {
  const auto tokenizer = with_marks();
  const auto trie = std::make_shared<TokenTrie>(tokenizer);
  const auto closing = tokenizer.encode("\n</think>\n\n");
  for (const bool begun : {true, false}) {
    const AnswerReader::Options reader{.thoughts = true, .in_thoughts = begun};
    const auto free = limit_thoughts(nullptr, reader, 8, closing, trie);
    const auto json = limit_thoughts(json_constraint(nullptr, trie, begun ? Thinking::begun : Thinking::may), reader, 8,
                                     closing, trie);
    const std::string open = begun ? "" : "<think>";
    const auto takes_text = [&](const Constraint& constraint, const std::string& text) {
      return takes(constraint, *trie, tokenizer.encode(text));
    };
    for (const std::string& text : {open + "ab\n</think>\n\n{}", open + "a</think>\n\n{}", open + "</think>\n\n{}"}) {
      EXPECT_TRUE(takes_text(*free, text + " and a long text")) << text;
      EXPECT_TRUE(takes_text(*json, text)) << text;
      EXPECT_FALSE(takes_text(*json, text + "x")) << text;
    }
    const auto walk = free->clone();
    for (const int32_t id : tokenizer.encode(open)) walk->accept(id);
    const int32_t letter = tokenizer.encode("q")[0];
    int64_t thoughts = begun ? 0 : 1;  // the mark counts
    for (; has_bit(mask_of(*walk, *trie), letter); ++thoughts) walk->accept(letter);
    EXPECT_EQ(thoughts, 8);
    EXPECT_FALSE(walk->may_end());
    for (const int32_t id : closing) {
      EXPECT_EQ(ids_of(mask_of(*walk, *trie)), std::vector<int32_t>{id});
      walk->accept(id);
    }
    EXPECT_TRUE(has_bit(mask_of(*walk, *trie), letter));
    EXPECT_TRUE(walk->may_end());
    EXPECT_TRUE(takes_text(*free, begun ? "" : "No thoughts at all, however long this is."));
  }
}

}  // namespace
}  // namespace ingrain::serve
