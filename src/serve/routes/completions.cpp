#include "serve/api/chat_reply.h"
#include "serve/api/completion_request.h"
#include "serve/routes/answering.h"

namespace ingrain::serve {
namespace {

using api::Json;

/// The prompts of a request one after another; a later one's choices count on.
void stream_completions(Call& call, const std::vector<api::Ask>& asks) {
  const api::ReplyHead head = reply_head(call, "cmpl-");
  const bool with_usage = asks[0].usage_in_stream;
  call.stream_error = openai_stream_error;
  api::Usage usage;
  Json about;
  int64_t first = 0;
  for (const api::Ask& ask : asks) {
    std::vector<int64_t> offsets(static_cast<size_t>(ask.writing.choices));
    AnswerHooks hooks;
    hooks.piece = [&](int64_t choice, const api::SaidPiece& piece, const std::vector<WrittenToken>& tokens) {
      const Json scores = ask.writing.top_logprobs >= 0
                              ? api::legacy_logprobs(tokens, offsets.at(static_cast<size_t>(choice)))
                              : Json(nullptr);
      call.send(api::sse(api::completion_chunk(head, first + choice, piece.text, scores, nullptr, with_usage)));
    };
    hooks.progress = [&](const Json& progress) {
      Json chunk = api::completion_chunk(head, first, "", nullptr, nullptr, with_usage);
      chunk["choices"] = Json::array();
      chunk["ingrain"] = progress;
      call.send(api::sse(chunk));
    };
    const Answered answered = answer(call, ask, hooks);
    need_finished(call, answered);
    for (size_t i = 0; i < answered.choices.size(); ++i)
      call.send(api::sse(api::completion_chunk(head, first + static_cast<int64_t>(i), "", nullptr,
                                               api::finish_reason(answered.choices[i].reason, {}), with_usage)));
    first += ask.writing.choices;
    usage += answered.usage;
    about = answered.about;
  }
  if (with_usage) call.send(api::sse(api::completion_usage_chunk(head, usage, about)));
  call.send(api::kDone);
}

}  // namespace

void post_completions(Call& call) {
  const auto asks = api::read_completion_request(call.body(), call.service.options().limits);
  if (asks.at(0).stream) return stream_completions(call, asks);
  std::vector<api::TextChoice> choices;
  api::Usage usage;
  Json about;
  for (const api::Ask& ask : asks) {
    const Answered answered = answer(call, ask);
    need_finished(call, answered);
    for (const AnsweredChoice& choice : answered.choices)
      choices.push_back({choice.said.text, choice.reason, ask.writing.top_logprobs >= 0, choice.tokens});
    usage += answered.usage;
    about = answered.about;
  }
  call.reply(api::completion_reply(reply_head(call, "cmpl-"), choices, usage, about));
}

}  // namespace ingrain::serve
