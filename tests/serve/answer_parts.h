// What an answer says, read in pieces of any size; tools and marks to try it with.
#pragma once

#include "grammar_walks.h"
#include "serve/grammar/tool_calls.h"

namespace ingrain::serve {

/// What an answer says; calls with all that was given of their arguments.
struct Part {
  AnswerPart::Kind kind;
  std::string text, arguments = {};
  bool whole = false;
  bool operator==(const Part&) const = default;
};
using Parts = std::vector<Part>;
inline constexpr auto kText = AnswerPart::Kind::text, kThought = AnswerPart::Kind::thought,
                      kCall = AnswerPart::Kind::call;

inline Part said(std::string text) { return {kText, std::move(text)}; }
inline Part thought(std::string text) { return {kThought, std::move(text)}; }
inline Part call(std::string name, std::string arguments, bool whole = true) {
  return {kCall, std::move(name), std::move(arguments), whole};
}

inline void append(Parts& parts, const std::vector<AnswerPart>& more) {
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

inline Parts push(AnswerReader& reader, std::string_view text) {
  Parts out;
  append(out, reader.push(text));
  return out;
}

inline Parts read_in_steps(const AnswerReader::Options& options, std::string_view answer, size_t step) {
  AnswerReader reader(options);
  Parts out;
  for (size_t i = 0; i < answer.size(); i += step) append(out, reader.push(answer.substr(i, step)));
  append(out, reader.finish());
  return out;
}

/// Cut into pieces of any size it must give the same.
inline Parts read(const AnswerReader::Options& options, std::string_view answer) {
  const Parts whole = read_in_steps(options, answer, answer.size() + 1);
  for (const size_t step : {1, 2, 3, 5, 7, 16})
    EXPECT_EQ(read_in_steps(options, answer, step), whole) << answer << step;
  return whole;
}

inline const AnswerReader::Options kTagged{.tools = ToolFormat::tagged};
inline const AnswerReader::Options kLlama{.tools = ToolFormat::llama3, .names = {"f", "get_weather"}};

/// qwen.json with marks as added tokens, as Qwen's tokenizers have them.
inline tokenizer::Tokenizer with_marks() {
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

inline nlohmann::ordered_json two_tools() {
  return nlohmann::ordered_json::parse(R"([
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}},
      "required": ["x"], "additionalProperties": false}}},
    {"type": "function", "function": {"name": "now"}}])");
}

}  // namespace ingrain::serve
