// Answers that must have a form: grammars, calls of tools.
#pragma once

#include "serve/api/ask.h"
#include "serve/api/reply.h"
#include "serve/grammar/tool_calls.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// What the tokens of the answer must follow; nullptr: nothing. 400 for what is not supported, by its name.
std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask);

/// Tells calls of tools from text, as an answer comes. Where no tools may be called, all is text.
class AnswerSplit {
 public:
  AnswerSplit(Call& call, const api::Ask& ask);
  /// What of it is text for sure.
  std::string push(const std::string& text);
  /// The rest of the text.
  std::string finish();
  const api::Said& said() const { return said_; }

 private:
  std::string take(const std::vector<AnswerPart>& parts);
  std::optional<AnswerReader> reader_;
  api::Said said_;
};

}  // namespace ingrain::serve
