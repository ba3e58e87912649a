// Answers that must have a form: grammars, calls of tools, thoughts.
#pragma once

#include "serve/api/ask.h"
#include "serve/api/reply.h"
#include "serve/grammar/tool_calls.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// How the answer to this prompt (whole, as the engine takes it) is read. 400 for what the model's template refuses,
/// and for thinking where the model does not know how.
AnswerReader::Options reading_of(Call& call, const api::Ask& ask, const Prompt& prompt);

/// What the answer's form is for (`response_format`'s description) stands before what the user said last (or, where no
/// user did, before the last message); `prompt.said` is then the conversation without it. 400 where it is none.
void describe_form(const api::Ask& ask, Prompt& prompt);

/// What the tokens of the answer must follow; nullptr: nothing. 400 for what is not supported, by its name.
std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask, const AnswerReader::Options& reading);

/// Tells thoughts and calls of tools from text, as an answer comes.
class AnswerSplit {
 public:
  explicit AnswerSplit(const AnswerReader::Options& reading) : reader_(reading) {}
  /// What is certain now; `written`: tokens up to here.
  std::vector<api::SaidPiece> push(const std::string& text, int64_t written);
  /// What still waits.
  std::vector<api::SaidPiece> finish();

  AnswerReader::Place place() const { return reader_.place(); }
  const api::Said& said() const { return said_; }

 private:
  std::vector<api::SaidPiece> take(std::vector<AnswerPart> parts);
  AnswerReader reader_;
  api::Said said_;
};

/// The message that clients send back; null if that is the text as it was written.
api::Json returned_message(const api::Said& said, const std::string& written);

}  // namespace ingrain::serve
