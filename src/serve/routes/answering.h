// From a request that is understood to its answer, whichever API it came by.
#pragma once

#include "serve/api/reply.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// What streams tell on the way. Text comes with the scores of its tokens, where they are asked for; what may become a
/// thought or a call of a tool is held back until that is known.
struct AnswerHooks {
  std::function<void()> begun = {};
  std::function<void(int64_t choice, const api::SaidPiece& piece, const std::vector<WrittenToken>& tokens)> piece = {};
  std::function<void(const api::Json& progress)> progress = {};
};

struct AnsweredChoice {
  api::Said said;
  StopReason reason = StopReason::interrupted;
  std::vector<WrittenToken> tokens;  // with Writing::top_logprobs >= 0
  std::string state;
  api::Json message;  // Choice::message; null: clients send another back, Said's
};

struct Answered {
  std::vector<AnsweredChoice> choices;
  api::Usage usage;
  api::Json about;
  std::string said;          // LookedUp's
  bool interrupted = false;  // the server stops, or the client is gone
};

/// Model and memory are looked up by name; 404 for what is not there, 429 beyond the key's limit.
/// `on_wait`: called now and then while the answer is being made.
Answered answer(Call& call, const api::Ask& ask, const AnswerHooks& hooks = {},
                const std::function<void()>& on_wait = {});

/// The state of a named memory (by name or id), "" for an empty name. 404 naming `param`.
std::string memory_state(Call& call, const std::string& name, const std::string& param);
/// Its record.
Record memory_record(Call& call, const std::string& name_or_id, const std::string& param);

/// 404 unless it is the served model's name; an empty one is.
void check_model(const Call& call, const std::string& name);
api::ReplyHead reply_head(const Call& call, const char* prefix);
/// An error amid a stream of OpenAI's.
std::string openai_stream_error(const api::ApiError& error);
/// For answers that the server did not finish: 503 unless the client is gone.
void need_finished(const Call& call, const Answered& answered);

}  // namespace ingrain::serve
