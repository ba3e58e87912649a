#include "serve/grammar/tool_calls.h"

#include "grammar_walks.h"
#include "scratch.h"
#include "serve/grammar/thought_limit.h"
#include "serve/grammar/tool_constraint.h"
#include "serve/grammar/tool_watch.h"

namespace ingrain::serve {
namespace {

using Options = AnswerReader::Options;

/// What an answer says; calls with all that was given of their arguments.
struct Part {
  AnswerPart::Kind kind;
  std::string text, arguments = {};
  bool whole = false;
  bool operator==(const Part&) const = default;
};
using Parts = std::vector<Part>;
constexpr auto kText = AnswerPart::Kind::text, kThought = AnswerPart::Kind::thought, kCall = AnswerPart::Kind::call;

Part said(std::string text) { return {kText, std::move(text)}; }
Part thought(std::string text) { return {kThought, std::move(text)}; }
Part call(std::string name, std::string arguments, bool whole = true) {
  return {kCall, std::move(name), std::move(arguments), whole};
}

void append(Parts& parts, const std::vector<AnswerPart>& more) {
  for (const AnswerPart& part : more) {
    if (part.kind == AnswerPart::Kind::arguments)
      parts.back().arguments += part.text;
    else if (part.kind == AnswerPart::Kind::call_end)
      parts.back().whole = true;
    else if (!parts.empty() && part.kind != kCall && parts.back().kind == part.kind)
      parts.back().text += part.text;
    else
      parts.push_back({part.kind, part.text});
  }
}

Parts push(AnswerReader& reader, std::string_view text) {
  Parts out;
  append(out, reader.push(text));
  return out;
}

Parts read_in_steps(const Options& options, std::string_view answer, size_t step) {
  AnswerReader reader(options);
  Parts out;
  for (size_t i = 0; i < answer.size(); i += step) append(out, reader.push(answer.substr(i, step)));
  append(out, reader.finish());
  return out;
}

/// Cut into pieces of any size it must give the same.
Parts read(const Options& options, std::string_view answer) {
  const Parts whole = read_in_steps(options, answer, answer.size() + 1);
  for (const size_t step : {1, 2, 3, 5, 7, 16})
    EXPECT_EQ(read_in_steps(options, answer, step), whole) << answer << step;
  return whole;
}

const Options kTagged{.tools = ToolFormat::tagged};
const Options kLlama{.tools = ToolFormat::llama3, .names = {"f", "get_weather"}};

TEST(ToolCalls, tagged_calls_are_found_wherever_they_are) {
  EXPECT_EQ(read(kTagged, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>"),
            (Parts{call("f", R"({"x": 1})")}));
  EXPECT_EQ(read(kTagged,
                 "I look.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n"
                 "{\"arguments\": {\"a\": [1, {\"b\": \"}\"}]}, \"name\": \"g\"}\n</tool_call>\nDone."),
            (Parts{said("I look."), call("f", "{}"), call("g", R"({"a": [1, {"b": "}"}]})"), said("Done.")}));
}

TEST(ToolCalls, arguments_are_kept_as_the_model_wrote_them) {
  const std::string arguments =
      R"({"city" : "S\u00e3o \"Paulo\" {[日本👍", "n":1.50, "end": "</tool_call>\\", "o": {"name": "x"}})";
  EXPECT_EQ(read(kTagged, "<tool_call>{\"name\":\"f\",\"arguments\":" + arguments + "}</tool_call>"),
            (Parts{call("f", arguments)}));
  EXPECT_EQ(read(kTagged, R"(<tool_call>{"name":"f","arguments":"{\"x\": 1}"}</tool_call>)"),
            (Parts{call("f", R"({"x": 1})")}));
}

TEST(ToolCalls, what_only_looks_like_a_call_stays_text) {
  for (const std::string text :
       {"<tool_call>", "<tool_call", "a <tool_cal", "<tool_call>{\"name\": \"f\"}</tool_call>",
        "<tool_call>{\"name\": 1, \"arguments\": {}}</tool_call>", "<tool_call>{\"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", "<tool_call>no JSON</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": {},}</tool_call>", "The mark <tool_call> begins a call.",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}} and more</tool_call>", "x \n", "</tool_call>", "< tool_call>",
        "<tool_call>{\"name\": \"f\", \"name\": \"g\", \"arguments\": {}}</tool_call>"})
    EXPECT_EQ(read(kTagged, text), (Parts{said(text)})) << text;
}

TEST(ToolCalls, a_true_call_after_a_false_one_is_found) {
  EXPECT_EQ(read(kTagged, "<tool_call> is the mark: <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
            (Parts{said("<tool_call> is the mark:"), call("f", "{}")}));
  EXPECT_EQ(read(kTagged, "<tool_call>{\"name\": <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
            (Parts{said("<tool_call>{\"name\":"), call("f", "{}")}));
}

TEST(ToolCalls, a_call_cut_by_the_limit_stays_text_unless_its_object_is_whole) {
  const std::string whole = "Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"é\"}}\n</tool_call>";
  const size_t object_end = whole.find("\n</tool_call>");
  for (size_t n = 6; n < whole.size(); ++n) {
    const std::string cut = whole.substr(0, n);
    if (n < object_end)
      EXPECT_EQ(read(kTagged, cut), (Parts{said(cut)})) << cut;
    else
      EXPECT_EQ(read(kTagged, cut), (Parts{said("Well."), call("f", R"({"x": "é"})")})) << cut;
  }
}

TEST(ToolCalls, text_is_given_out_as_soon_as_it_is_no_call) {
  AnswerReader reader(kTagged);
  EXPECT_EQ(push(reader, "Hello"), (Parts{said("Hello")}));
  EXPECT_EQ(push(reader, " world\n"), (Parts{said(" world")}));
  EXPECT_EQ(push(reader, "<tool"), Parts{});
  EXPECT_EQ(push(reader, "s>"), (Parts{said("\n<tools>")}));
  EXPECT_EQ(push(reader, "<tool_call>{\"name\": \"f\", \"argum"), Parts{});
  EXPECT_EQ(push(reader, "ents\": {}}</tool_call>"), (Parts{call("f", "{}")}));
  EXPECT_TRUE(reader.finish().empty());
}

TEST(ToolCalls, arguments_that_a_grammar_holds_are_given_out_while_they_come) {
  AnswerReader reader({.tools = ToolFormat::tagged, .names = {"f"}, .certain = true});
  EXPECT_EQ(push(reader, "I look.\n<tool_call>\n{\"name\": \"f\", \"argum"), (Parts{said("I look.")}));
  EXPECT_EQ(reader.push("ents\": {\"x\""),
            (std::vector<AnswerPart>{{kCall, "f"}, {AnswerPart::Kind::arguments, "{\"x\""}}));
  EXPECT_EQ(reader.push(": \"}\""), (std::vector<AnswerPart>{{AnswerPart::Kind::arguments, ": \"}\""}}));
  EXPECT_EQ(reader.push("}}"), (std::vector<AnswerPart>{{AnswerPart::Kind::arguments, "}"}}));
  EXPECT_TRUE(reader.push("\n</tool_").empty());
  EXPECT_EQ(reader.push("call>"), (std::vector<AnswerPart>{{AnswerPart::Kind::call_end, ""}}));
  EXPECT_EQ(push(reader, "\n Done."), (Parts{said("Done.")}));
}

TEST(ToolCalls, arguments_that_a_limit_cuts_are_given_as_far_as_they_are) {
  for (const ToolFormat format : {ToolFormat::tagged, ToolFormat::llama3}) {
    const Options options{.tools = format, .names = {"f"}, .certain = true};
    const bool tagged = format == ToolFormat::tagged;
    const std::string begin = (tagged ? "<tool_call>\n" : "") + call_opening(format, "f");
    EXPECT_EQ(read(options, begin + "{\"x\": [1, "), (Parts{call("f", "{\"x\": [1, ", false)}));
    EXPECT_EQ(read(options, begin + "{\"x\": 1}"), (Parts{call("f", "{\"x\": 1}")}));
    EXPECT_EQ(read(options, begin + "{}}" + (tagged ? "\n</tool" : "")), (Parts{call("f", "{}")}));
    EXPECT_EQ(read(options, begin), (Parts{said(begin)}));
    const std::string other = (tagged ? "<tool_call>" : "") + std::string("{\"name\":\"f\", \"arguments\":{}}");
    EXPECT_EQ(read(options, other), (Parts{call("f", "{}")})) << "a call in other words is read as without a grammar";
  }
}

TEST(ToolCalls, llama_calls_stand_at_the_beginning_and_have_a_known_name) {
  EXPECT_EQ(read(kLlama, R"({"name": "f", "parameters": {"x": "}"}})"), (Parts{call("f", R"({"x": "}"})")}));
  EXPECT_EQ(read(kLlama, "<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {}}"),
            (Parts{call("get_weather", "{}")}));
  EXPECT_EQ(read(kLlama, R"({"name": "f", "parameters": {}}; {"name": "f", "parameters": {"a": 1}})"),
            (Parts{call("f", "{}"), call("f", R"({"a": 1})")}));
  EXPECT_EQ(read(kLlama, "{\"name\": \"f\", \"parameters\": {}}\n\nand text {\"name\": \"f\", \"parameters\": {}}"),
            (Parts{call("f", "{}"), said("and text {\"name\": \"f\", \"parameters\": {}}")}));
  for (const std::string text :
       {R"({"name": "Bob", "parameters": {}})", R"({"name": "f", "parameters": {}, "age": 3})",
        R"(So: {"name": "f", "parameters": {}})", R"({"name": "f", "parameters": {)", "<|python_tag|>print(1)",
        "<|python", "{", R"({"name": "f"})", R"([{"name": "f", "parameters": {}}])"})
    EXPECT_EQ(read(kLlama, text), (Parts{said(text)})) << text;
}

TEST(ToolCalls, without_a_known_format_all_is_text_at_once) {
  AnswerReader reader({});
  EXPECT_EQ(push(reader, "<tool_call>{"), (Parts{said("<tool_call>{")}));
  EXPECT_EQ(push(reader, " \n"), (Parts{said(" \n")}));
}

TEST(ToolCalls, long_and_hostile_answers_end) {
  std::string many;
  while (many.size() < (1 << 17)) many += "<tool_call>{\"";
  EXPECT_EQ(read_in_steps(kTagged, many, 4096), (Parts{said(many)}));
  std::string open = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"" + std::string(1 << 20, 'y');
  EXPECT_EQ(read_in_steps(kTagged, open, 1 << 16), (Parts{said(open)}));
  const std::string deep = "<tool_call>" + std::string(1 << 16, '{');
  EXPECT_EQ(read_in_steps(kTagged, deep, 1 << 12), (Parts{said(deep)}));
}

TEST(Thoughts, are_split_from_the_answer) {
  const Options options{.tools = ToolFormat::tagged, .thoughts = true};
  EXPECT_EQ(read(options, "<think>\nHm, \n<b>.\n</think>\n\nYes."), (Parts{thought("Hm, \n<b>."), said("Yes.")}));
  EXPECT_EQ(read(options, "<think>a</think><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
            (Parts{thought("a"), call("f", "{}")}));
  EXPECT_EQ(read(options, "<think>\n\n</think>\n\nYes."), (Parts{said("Yes.")}));
  EXPECT_EQ(read(options, "<think>cut </thi"), (Parts{thought("cut </thi")}));
  EXPECT_EQ(read(options, "Yes. <think>no</think>"), (Parts{said("Yes. <think>no</think>")}));
  EXPECT_EQ(read(options, "<thin"), (Parts{said("<thin")}));
  EXPECT_EQ(read({.thoughts = true, .in_thoughts = true}, "\nwell\n</think>\n\n<think>Yes."),
            (Parts{thought("well"), said("<think>Yes.")}));
  EXPECT_EQ(read({}, "<think>a</think>b"), (Parts{said("<think>a</think>b")}));
  Options llama = kLlama;
  llama.thoughts = true;
  EXPECT_EQ(read(llama, "<think>a</think>\n{\"name\": \"f\", \"parameters\": {}}"),
            (Parts{thought("a"), call("f", "{}")}));
}

TEST(Thoughts, are_given_out_while_they_come) {
  AnswerReader reader({.thoughts = true});
  EXPECT_EQ(push(reader, "<think>\nOne"), (Parts{thought("One")}));
  EXPECT_EQ(push(reader, " two\n</th"), (Parts{thought(" two")}));
  EXPECT_EQ(push(reader, "ink>"), Parts{});
  EXPECT_EQ(push(reader, "\n\nThree"), (Parts{said("Three")}));
}

TEST(ToolFormats, are_told_by_the_template) {
  EXPECT_EQ(tool_format("return within <tool_call></tool_call> tags:\\n<tool_call>\\n{\"name\": "), ToolFormat::tagged);
  EXPECT_EQ(tool_format("<tool_call>\n<function=x>\n<parameter=y>"), ToolFormat::none);
  EXPECT_EQ(tool_format("<|start_header_id|>{{- '\"parameters\": ' }}"), ToolFormat::llama3);
  EXPECT_EQ(tool_format("<|im_start|>"), ToolFormat::none);
  EXPECT_TRUE(knows_thoughts("x.split('</think>')", fixture_tokenizer("qwen.json")));
  EXPECT_FALSE(knows_thoughts("<|im_start|>", fixture_tokenizer("qwen.json")));
  EXPECT_TRUE(begins_in_thoughts("<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(begins_in_thoughts("<think>\n\n</think>\n\n"));
}

/// qwen.json with marks as added tokens, as Qwen's tokenizers have them.
tokenizer::Tokenizer with_marks() {
  auto json = nlohmann::json::parse(read_file(std::string(INGRAIN_TEST_FIXTURES) + "/tokenizers/qwen.json", 1 << 24));
  int id = 509;
  for (const char* mark : {"<tool_call>", "</tool_call>", "<think>", "</think>"})
    json["added_tokens"].push_back({{"id", id++},
                                    {"content", mark},
                                    {"special", false},
                                    {"normalized", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"single_word", false}});
  return tokenizer::Tokenizer::from_json(json.dump(), {}, "with marks");
}

nlohmann::ordered_json two_tools() {
  return nlohmann::ordered_json::parse(R"([
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}},
      "required": ["x"], "additionalProperties": false}}},
    {"type": "function", "function": {"name": "now"}}])");
}

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
  EXPECT_TRUE(
      contains(error_of([&] { tool_constraint(ToolFormat::tagged, two_tools(), "g", true, trie); }), "'g' is no tool"));
  EXPECT_TRUE(
      contains(error_of([&] { tool_constraint(ToolFormat::none, two_tools(), "", true, trie); }), "tool_choice"));
}

/// Tokens of `text` one by one: whether all are allowed, and the text may end after them.
bool watched(const Constraint& constraint, const TokenTrie& trie, const tokenizer::Tokenizer& tokenizer,
             const std::string& text) {
  return takes(constraint, trie, tokenizer.encode(text));
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

}  // namespace
}  // namespace ingrain::serve
