// An answer that must be calls of tools; and thoughts that may come before what a grammar says.
#pragma once

#include "serve/grammar/json_schema.h"
#include "serve/grammar/tool_calls.h"
#include "serve/grammar/walk.h"

namespace ingrain::serve {

/// What stands before the text that a constraint is about: nothing; thoughts, if the model wants to; the rest of
/// thoughts that the prompt has opened. Where <think> and </think> are no tokens of the tokenizer, nothing.
enum class Thinking { none, may, begun };

/// Tools as chat templates take them. Refers to the list.
struct ToolList {
  ToolList(const nlohmann::ordered_json& list, std::string schema_at = "function.parameters")
      : tools(list), schema_at(std::move(schema_at)) {}
  const nlohmann::ordered_json& tools;  // [{"type": "function", "function": {"name", "parameters"}}]
  std::string schema_at;                // the path of parameters in a tool as the request has it
};

/// tool_choice "required" (`name` empty) or a named function: calls in the model's format and nothing else, one or, if
/// `parallel`, more, with arguments that satisfy the schemas. ("none" and "auto" need no constraint.) UsageError for
/// schemas that are not supported, by their path ("tools[0].function.parameters..."), a name that is not there, and a
/// format that is not known.
std::shared_ptr<const Constraint> tool_constraint(ToolFormat format, const ToolList& tools, const std::string& name,
                                                  bool parallel, const std::shared_ptr<const TokenTrie>& trie,
                                                  Thinking thinking = Thinking::none);

/// One call of any of the tools after its mark (`name` empty), or of one after its name's closing quote, as
/// llama_opening() reads it. UsageError as above.
GrammarWalk call_after_opening(ToolFormat format, const ToolList& tools, const std::string& name,
                               const std::shared_ptr<const TokenTrie>& trie);
/// Whether a grammar can hold to this schema.
bool can_be_grammar(const nlohmann::ordered_json& schema);

/// json_constraint() after thoughts.
std::shared_ptr<const Constraint> json_constraint(const nlohmann::ordered_json& schema,
                                                  std::shared_ptr<const TokenTrie> trie, Thinking thinking,
                                                  const std::string& where = "response_format.json_schema.schema");

}  // namespace ingrain::serve
