// POST /v1/chat/completions, as it goes out: whole, or in chunks.
#pragma once

#include "serve/api/reply.h"

namespace ingrain::serve::api {

struct ChatChoice {
  Said said;
  StopReason reason = StopReason::end_of_text;
  bool with_logprobs = false;
  std::vector<WrittenToken> tokens;
};

Json chat_reply(const ReplyHead& head, const std::vector<ChatChoice>& choices, const Usage& usage, const Json& about);

/// The chunks of one stream. `with_usage`: every chunk has "usage", null but in the last.
class ChatChunks {
 public:
  ChatChunks(ReplyHead head, bool with_usage) : head_(std::move(head)), with_usage_(with_usage) {}
  Json begin(int64_t choice) const;  // the role
  /// A piece of the answer; null if it says nothing in this API. `logprobs`: of its tokens, or null.
  Json piece(int64_t choice, const SaidPiece& piece, const Json& logprobs) const;
  Json end(int64_t choice, const std::string& reason) const;
  Json usage(const Usage& usage, const Json& about) const;
  Json progress(const Json& progress) const;

 private:
  Json chunk(Json choices) const;
  Json of_choice(int64_t choice, Json delta, const Json& logprobs, const Json& reason) const;

  ReplyHead head_;
  bool with_usage_;
};

/// POST /v1/completions: the same for texts without roles.
struct TextChoice {
  std::string text;
  StopReason reason = StopReason::end_of_text;
  bool with_logprobs = false;
  std::vector<WrittenToken> tokens;
};
Json completion_reply(const ReplyHead& head, const std::vector<TextChoice>& choices, const Usage& usage,
                      const Json& about);
/// `reason`, `logprobs`: or null.
Json completion_chunk(const ReplyHead& head, int64_t choice, const std::string& text, const Json& logprobs,
                      const Json& reason, bool with_usage);
Json completion_usage_chunk(const ReplyHead& head, const Usage& usage, const Json& about);

}  // namespace ingrain::serve::api
