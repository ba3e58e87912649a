// Calls of tools and thoughts in what a model writes, as it writes it.
#pragma once

#include "tokenizer/tokenizer.h"

#include <array>
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
/// The spellings by which calls and thoughts begin and end. A tokenizer may have them as tokens.
inline constexpr std::string_view kCallMark = "<tool_call>", kCallEndMark = "</tool_call>", kThinkMark = "<think>",
                                  kThinkEndMark = "</think>";
inline constexpr std::array kMarks = {kCallMark, kCallEndMark, kThinkMark, kThinkEndMark};
/// How a call of `name` begins where a grammar writes it, up to its arguments: `{"name": "f", "arguments": `.
std::string call_opening(ToolFormat format, std::string_view name);

/// Whether the model knows <think> and </think>: its template speaks of them, or they are tokens of its own.
bool knows_thoughts(std::string_view template_source, const tokenizer::Tokenizer& tokenizer);
/// Whether an answer to this prompt (as rendered) begins within thoughts, because the template has opened them.
bool begins_in_thoughts(std::string_view rendered_prompt);

struct AnswerPart {
  /// A call is `call`, then its arguments in pieces, then `call_end`, unless the answer was cut before.
  enum class Kind { text, thought, call, arguments, call_end } kind = Kind::text;
  std::string text;  // text, thought; call: the tool's name; arguments: of a JSON object, as the model wrote it
  bool operator==(const AnswerPart&) const = default;
};

/// Takes an answer in pieces, cut anywhere between characters; control tokens as they are spelt. Gives out text as soon
/// as it cannot be the beginning of something else, calls when they are whole. What only looks like a call stays text:
/// JSON that is none, has no name or no object of arguments, is longer than 1 MiB, or is not closed when the answer
/// ends. White space between text and calls, and around thoughts, is left out. A value. One thread at a time.
class AnswerReader {
 public:
  struct Options {
    ToolFormat tools = ToolFormat::none;
    std::vector<std::string> names =
        {};                    // of the tools there are; llama3, which has no marks: no other name makes a call
    bool thoughts = false;     // <think> at the beginning is a thought
    bool in_thoughts = false;  // the answer begins within one
    /// A grammar holds calls of these names to their form: what begins as call_opening() is one for certain, and its
    /// arguments are given out as they come, whole or not.
    bool certain = false;
  };
  explicit AnswerReader(Options options);

  std::vector<AnswerPart> push(std::string_view text);
  /// The answer ends here: what still waits.
  std::vector<AnswerPart> finish();

  /// Where the answer is now; `undecided`: what it begins with may yet be a thought or a call.
  enum class Place { undecided, thought, text, call };
  Place place() const;
  /// What was pushed and not given out.
  std::string_view waiting() const { return waiting_; }
  /// REQUIRES: in a call whose arguments have not begun. What was written of it, without its mark.
  std::string_view call_text() const { return std::string_view(waiting_).substr(object_begin_); }

 private:
  enum class State { beginning, thought, after_thought, text, call, arguments, tail, between };
  using Parts = std::vector<AnswerPart>;

  /// Each takes what it can from waiting_; true if there is more to do without more text.
  bool step(Parts& out, bool ended);
  bool step_beginning(bool ended);
  bool step_thought(Parts& out, bool ended);
  bool step_text(Parts& out, bool ended);
  bool step_call(Parts& out, bool ended);
  bool step_opening(Parts& out);
  bool step_arguments(Parts& out);
  bool step_tail(Parts& out, bool ended);
  bool step_between(bool ended);
  bool no_call(Parts& out);
  void give(Parts& out, AnswerPart::Kind kind, size_t bytes);

  /// Where a JSON object ends, looked for once.
  struct ObjectScan {
    size_t at = 0;
    int depth = 0, deepest = 64;
    bool in_string = false, escaped = false, done = false;
    /// False if it is no object.
    bool read(std::string_view text);
  };

  Options options_;
  State state_;
  std::string waiting_;
  size_t call_at_ = 0;                       // call: of its mark in waiting_, after white space
  size_t object_begin_ = 0, object_at_ = 0;  // call: after its mark; of its JSON
  ObjectScan scan_;
  bool thought_given_ = false;
};

}  // namespace ingrain::serve
