// POST /v1/messages and /v1/messages/count_tokens: Anthropic's shape.
#pragma once

#include "serve/api/ask.h"
#include "serve/api/reply.h"

#include <optional>

namespace ingrain::serve::api {

/// `counting`: of count_tokens, where max_tokens is not required.
Ask read_messages_request(const Json& body, const AskLimits& limits, bool counting);

struct AnthropicEnd {
  std::string reason;  // "end_turn", "max_tokens", "stop_sequence", "tool_use"
  Json sequence;       // the text that ended it, or null
};
/// `stops`: of the request. Which of several texts ended an answer is not known; then it is null.
AnthropicEnd anthropic_end(StopReason reason, const Said& said, const std::vector<std::string>& stops);

Json anthropic_reply(const ReplyHead& head, const Said& said, const AnthropicEnd& end, const Usage& usage,
                     const Json& about);

/// One stream's events, as bytes to send.
class AnthropicEvents {
 public:
  explicit AnthropicEvents(ReplyHead head) : head_(std::move(head)) {}
  std::string begin() const;
  std::string piece(const SaidPiece& piece);
  /// Closes what is open and tells of the end.
  std::string end(const AnthropicEnd& end, const Usage& usage, const Json& about);
  std::string progress(const Json& progress) const;

 private:
  std::string close();

  ReplyHead head_;
  int64_t index_ = -1;  // of the newest block
  std::optional<AnswerPart::Kind> open_;
};

}  // namespace ingrain::serve::api
