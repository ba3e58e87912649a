#include "serve/grammar/tool_calls.h"

#include "grammar_walks.h"
#include "scratch.h"
#include "serve/grammar/tool_constraint.h"

namespace ingrain::serve {
namespace {

using Options = AnswerReader::Options;
using Parts = std::vector<AnswerPart>;
constexpr auto kText = AnswerPart::Kind::text, kThought = AnswerPart::Kind::thought, kCall = AnswerPart::Kind::call;

AnswerPart said(std::string text) { return {kText, std::move(text), {}, {}}; }
AnswerPart thought(std::string text) { return {kThought, std::move(text), {}, {}}; }
AnswerPart call(std::string name, std::string arguments) { return {kCall, {}, std::move(name), std::move(arguments)}; }

void append(Parts& parts, const Parts& more) {
  for (const AnswerPart& part : more)
    if (!parts.empty() && part.kind != kCall && parts.back().kind == part.kind)
      parts.back().text += part.text;
    else
      parts.push_back(part);
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
  EXPECT_EQ(reader.push("Hello"), (Parts{said("Hello")}));
  EXPECT_EQ(reader.push(" world\n"), (Parts{said(" world")}));
  EXPECT_EQ(reader.push("<tool"), Parts{});
  EXPECT_EQ(reader.push("s>"), (Parts{said("\n<tools>")}));
  EXPECT_EQ(reader.push("<tool_call>{\"name\": \"f\", \"argum"), Parts{});
  EXPECT_EQ(reader.push("ents\": {}}</tool_call>"), (Parts{call("f", "{}")}));
  EXPECT_EQ(reader.finish(), Parts{});
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
  EXPECT_EQ(reader.push("<tool_call>{"), (Parts{said("<tool_call>{")}));
  EXPECT_EQ(reader.push(" \n"), (Parts{said(" \n")}));
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
  EXPECT_EQ(reader.push("<think>\nOne"), (Parts{thought("One")}));
  EXPECT_EQ(reader.push(" two\n</th"), (Parts{thought(" two")}));
  EXPECT_EQ(reader.push("ink>"), Parts{});
  EXPECT_EQ(reader.push("\n\nThree"), (Parts{said("Three")}));
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
      ASSERT_FALSE(parts.empty());
      for (const AnswerPart& part : parts) EXPECT_EQ(part.kind, kCall) << text;
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
