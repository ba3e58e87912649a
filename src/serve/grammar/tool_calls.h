// Calls of tools and thoughts in what a model writes, as it writes it.
#pragma once

#include "tokenizer/tokenizer.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve {

/// How a model writes its calls.
enum class ToolFormat {
  none,    // not known: all is text
  tagged,  // Qwen, Hermes: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, anywhere, any number
  llama3   // {"name": ..., "parameters": {...}} at the beginning, maybe after <|python_tag|>; more after ";" or blanks
};
/// From the words of a chat template.
ToolFormat tool_format(std::string_view template_source);

/// Whether the model knows <think> and </think>: its template speaks of them, or they are tokens of its own.
bool knows_thoughts(std::string_view template_source, const tokenizer::Tokenizer& tokenizer);
/// Whether an answer to this prompt (as rendered) begins within thoughts, because the template has opened them.
bool begins_in_thoughts(std::string_view rendered_prompt);

struct AnswerPart {
  enum class Kind { text, thought, call } kind = Kind::text;
  std::string text;             // text, thought
  std::string name, arguments;  // call: the tool's name and a JSON object, as the model wrote it
  bool operator==(const AnswerPart&) const = default;
};

/// Takes an answer in pieces, cut anywhere between characters; control tokens as they are spelt. Gives out text as soon
/// as it cannot be the beginning of something else, calls when they are whole. What only looks like a call stays text:
/// JSON that is none, has no name or no object of arguments, is longer than 1 MiB, or is not closed when the answer
/// ends. White space between text and calls, and around thoughts, is left out. One thread at a time.
class AnswerReader {
 public:
  struct Options {
    ToolFormat tools = ToolFormat::none;
    std::vector<std::string> names =
        {};                    // of the tools there are; llama3, which has no marks: no other name makes a call
    bool thoughts = false;     // <think> at the beginning is a thought
    bool in_thoughts = false;  // the answer begins within one
  };
  explicit AnswerReader(Options options);

  std::vector<AnswerPart> push(std::string_view text);
  /// The answer ends here: what still waits.
  std::vector<AnswerPart> finish();

 private:
  enum class State { beginning, thought, after_thought, text, call, between };
  using Parts = std::vector<AnswerPart>;

  /// Each takes what it can from waiting_; true if there is more to do without more text.
  bool step(Parts& out, bool ended);
  bool step_beginning(bool ended);
  bool step_thought(Parts& out, bool ended);
  bool step_text(Parts& out, bool ended);
  bool step_call(Parts& out, bool ended);
  bool step_between(bool ended);
  bool no_call(Parts& out);
  void give(Parts& out, AnswerPart::Kind kind, size_t bytes);

  /// Where a JSON object ends, looked for once.
  struct ObjectScan {
    size_t at = 0;
    int depth = 0;
    bool in_string = false, escaped = false, done = false;
    /// False if it is no object.
    bool read(std::string_view text);
  };

  Options options_;
  State state_;
  std::string waiting_;
  size_t call_at_ = 0;    // call: of its mark in waiting_, after white space
  size_t object_at_ = 0;  // call: of its JSON
  ObjectScan scan_;
  bool thought_given_ = false;
};

}  // namespace ingrain::serve
