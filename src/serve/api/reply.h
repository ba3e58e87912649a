// What replies of all APIs share: who answers, usage, why an answer ended, scores of tokens, server-sent events.
#pragma once

#include "serve/api/api_error.h"
#include "serve/engine/engine.h"
#include "serve/grammar/tool_calls.h"

#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve::api {

/// The same in every part of a reply.
struct ReplyHead {
  std::string id;
  std::string model;
  std::string fingerprint;  // of the model's weights
  int64_t created = 0;      // unix seconds
};

struct Usage {
  int64_t prompt = 0, cached = 0, written = 0, thought = 0;  // thought: of the written ones
  Usage& operator+=(const Usage& more);
};
Usage usage_of(const Outcome& outcome);

/// An answer, its thoughts and its calls of tools told apart: chat's tool_calls.
struct Said {
  std::string text;
  Json calls = Json::array();
  std::string thought = {};
  size_t calls_before_text = 0;  // so many calls were written before the text began
  bool cut_call = false;         // the last call has not all of its arguments
  int64_t thought_tokens = 0;
};

/// A piece of it as it comes. A call is told by its id and name, then come its arguments, then its end.
struct SaidPiece {
  AnswerPart::Kind kind = AnswerPart::Kind::text;
  std::string text;     // text, thought, arguments: more of it; call: the tool's name
  size_t call = 0;      // call, arguments, call_end: which
  std::string id = {};  // call
};

/// "stop", "length", "tool_calls".
std::string finish_reason(StopReason reason, const Said& said);

Json chat_usage(const Usage& usage);       // prompt_tokens, ...
Json responses_usage(const Usage& usage);  // input_tokens, ...
Json anthropic_usage(const Usage& usage);

/// What is ours alone, for the reply's "ingrain": the memory's size and position, passages that were used.
Json about_memory(const Outcome& outcome, const Json& passages);
/// {"reading": {"read", "of"}} or {"step": {...}}; null for text.
Json progress_of(const Event& event);

/// A token's text, or, of bytes that are no whole character, "\\xf0\\x9f".
std::string token_text(const std::string& bytes);
/// JSON knows no infinity: the least is -9999, as in OpenAI's API.
double finite(double logprob);
/// {"token", "logprob", "bytes", "top_logprobs"}, one for each token.
Json chat_logprobs(const std::vector<WrittenToken>& tokens);
/// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; `offset`: characters of text before, moved on.
Json legacy_logprobs(const std::vector<WrittenToken>& tokens, int64_t& offset);

/// "data: ...\n\n", with "event: NAME" before it where it has one.
std::string sse(const Json& data, std::string_view event = {});
inline constexpr std::string_view kDone = "data: [DONE]\n\n";

}  // namespace ingrain::serve::api
