#include "serve/api/chat_reply.h"
#include "serve/api/chat_request.h"
#include "serve/routes/answering.h"

namespace ingrain::serve {
namespace {

using api::Json;

std::string openai_stream_error(const api::ApiError& error) { return api::sse(api::openai_error(error)); }

void stream_chat(Call& call, const api::Ask& ask) {
  const api::ChatChunks chunks(reply_head(call, "chatcmpl-"), ask.usage_in_stream);
  const bool scores = ask.writing.top_logprobs >= 0;
  call.stream_error = openai_stream_error;
  AnswerHooks hooks;
  hooks.begun = [&] {
    for (int64_t i = 0; i < ask.writing.choices; ++i) call.send(api::sse(chunks.begin(i)));
  };
  hooks.piece = [&](int64_t choice, const api::SaidPiece& piece, const std::vector<WrittenToken>& tokens) {
    const bool scored = scores && piece.kind == AnswerPart::Kind::text;
    const Json chunk = chunks.piece(choice, piece, scored ? api::chat_logprobs(tokens) : Json(nullptr));
    if (!chunk.is_null()) call.send(api::sse(chunk));
  };
  hooks.progress = [&](const Json& progress) { call.send(api::sse(chunks.progress(progress))); };
  const Answered answered = answer(call, ask, hooks);
  need_finished(call, answered);
  for (size_t i = 0; i < answered.choices.size(); ++i) {
    const AnsweredChoice& choice = answered.choices[i];
    const auto index = static_cast<int64_t>(i);
    call.send(api::sse(chunks.end(index, api::finish_reason(choice.reason, choice.said))));
  }
  if (ask.usage_in_stream) call.send(api::sse(chunks.usage(answered.usage, answered.about)));
  call.send(api::kDone);
}

}  // namespace

void post_chat(Call& call) {
  const api::Ask ask = api::read_chat_request(call.body(), call.service.options().limits);
  if (ask.stream) return stream_chat(call, ask);
  const Answered answered = answer(call, ask);
  need_finished(call, answered);
  std::vector<api::ChatChoice> choices;
  for (const AnsweredChoice& choice : answered.choices)
    choices.push_back({choice.said, choice.reason, ask.writing.top_logprobs >= 0, choice.tokens});
  call.reply(api::chat_reply(reply_head(call, "chatcmpl-"), choices, answered.usage, answered.about));
}

}  // namespace ingrain::serve
