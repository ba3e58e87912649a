// Answers in which tools may be called: free, until the model begins a call; then the call is held to its form.
#pragma once

#include "serve/grammar/tool_calls.h"
#include "serve/grammar/walk.h"

#include <map>

namespace ingrain::serve {

/// tool_choice "auto". `reader`: how the answer is read, tools and thoughts; it says where a call begins, and with
/// `certain` reads what this lets the model write. A tool whose schema is not supported may be called with any object,
/// unless its name is among `strict`. `parallel` false: the answer ends after a call.
struct CallRules {
  AnswerReader::Options reader;
  nlohmann::ordered_json tools;  // as of tool_constraint()
  std::string schema_at = "function.parameters";
  std::vector<std::string> strict = {};
  bool parallel = true;
};
/// UsageError for schemas that are not supported, by their path, and a format that is not known.
std::shared_ptr<const Constraint> watch_calls(const CallRules& rules, const std::shared_ptr<const TokenTrie>& trie);

/// How a call that begins so goes on where a Llama 3 model writes it.
struct LlamaOpening {
  enum class Kind { none, maybe, call } kind = Kind::none;  // maybe: if more comes
  std::string name = {};
  size_t end = 0;  // call: after the name's closing quote
};
LlamaOpening llama_opening(std::string_view text, const std::vector<std::string>& names);

}  // namespace ingrain::serve
