#include "serve/api/messages_api.h"
#include "serve/routes/answering.h"

namespace ingrain::serve {
namespace {

using api::Json;

void stream_messages(Call& call, const api::Ask& ask) {
  api::AnthropicEvents events(reply_head(call, "msg_"));
  call.stream_error = [&call](const api::ApiError& error) {
    return api::sse(api::anthropic_error(error, call.request().id), "error");
  };
  AnswerHooks hooks;
  hooks.begun = [&] { call.send(events.begin()); };
  hooks.piece = [&](int64_t, const api::SaidPiece& piece, const std::vector<WrittenToken>&) {
    if (piece.kind != AnswerPart::Kind::text || !piece.text.empty()) call.send(events.piece(piece));
  };
  hooks.progress = [&](const Json& progress) { call.send(events.progress(progress)); };
  const Answered answered = answer(call, ask, hooks);
  need_finished(call, answered);
  if (answered.choices.empty()) return;
  const AnsweredChoice& choice = answered.choices[0];
  call.send(
      events.end(api::anthropic_end(choice.reason, choice.said, ask.writing.stop), answered.usage, answered.about));
}

}  // namespace

void post_messages(Call& call) {
  const api::Ask ask = api::read_messages_request(call.body(), call.service.options().limits, /*counting=*/false);
  if (ask.stream) return stream_messages(call, ask);
  const Answered answered = answer(call, ask);
  need_finished(call, answered);
  if (answered.choices.empty()) return;
  const AnsweredChoice& choice = answered.choices[0];
  call.reply(api::anthropic_reply(reply_head(call, "msg_"), choice.said,
                                  api::anthropic_end(choice.reason, choice.said, ask.writing.stop), answered.usage,
                                  answered.about));
}

void post_count_tokens(Call& call) {
  const api::Ask ask = api::read_messages_request(call.body(), call.service.options().limits, /*counting=*/true);
  check_model(call, ask.model);
  Prompt prompt = ask.prompt;
  prompt.owner = call.owner;
  prompt.base = memory_state(call, ask.memory, "memory");
  if (ask.tools.any()) prompt.tools = ask.tools.tools;
  try {
    call.reply({{"input_tokens", call.service.engine().count(prompt)}});
  } catch (const Error& e) {
    api::refuse("", "{}", e.what());
  }
}

}  // namespace ingrain::serve
