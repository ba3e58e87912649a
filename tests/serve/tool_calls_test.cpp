#include "serve/grammar/tool_calls.h"

#include "answer_parts.h"
#include "scratch.h"

namespace ingrain::serve {
namespace {

using Options = AnswerReader::Options;

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

}  // namespace
}  // namespace ingrain::serve
