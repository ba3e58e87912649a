#include "serve/api/chat_reply.h"
#include "serve/api/chat_request.h"
#include "serve/routes/answering.h"

#include <map>

namespace ingrain::serve {
namespace {

using api::Json;

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

/// Calls by their ids, and their functions.
std::map<std::string, std::string> calls_of(const Json& messages) {
  std::map<std::string, std::string> out;
  for (const Json& message : messages)
    if (const auto calls = message.find("tool_calls"); calls != message.end())
      for (const Json& call : *calls) out[call["id"]] = call["function"]["name"];
  return out;
}

/// Refuses names that the model's template does not show: the model would not know of them.
void need_names_shown(Call& call, const api::Ask& ask) {
  Prompt prompt = ask.prompt;
  if (ask.tools.any()) prompt.tools = ask.tools.tools;
  const auto mark = [](size_t i) { return fmt::format("nobody-{}-of-this-name", i); };
  const auto calls = calls_of(prompt.messages);
  std::vector<size_t> named;
  for (size_t i = 0; i < prompt.messages.size(); ++i) {
    Json& message = prompt.messages[i];
    if (!message.contains("name")) continue;
    // Some clients name the result of a call by its function, which the call says already.
    const auto call = calls.find(message.value("tool_call_id", ""));
    if (call != calls.end() && call->second == message["name"]) continue;
    message["name"] = mark(i);
    named.push_back(i);
  }
  if (named.empty()) return;
  std::string text;
  try {
    text = call.service.engine().text(prompt);
  } catch (const Error& e) {
    api::refuse("", "{}", e.what());
  }
  for (const size_t i : named)
    if (text.find(mark(i)) == text.npos)
      api::refuse_unsupported(api::element("messages", i) + ".name", "this model's template shows no names");
}

}  // namespace

void post_chat(Call& call) {
  const api::Ask ask = api::read_chat_request(call.body(), call.service.options().limits);
  need_names_shown(call, ask);
  if (ask.stream) return stream_chat(call, ask);
  const Answered answered = answer(call, ask);
  need_finished(call, answered);
  std::vector<api::ChatChoice> choices;
  for (const AnsweredChoice& choice : answered.choices)
    choices.push_back({choice.said, choice.reason, ask.writing.top_logprobs >= 0, choice.tokens});
  call.reply(api::chat_reply(reply_head(call, "chatcmpl-"), choices, answered.usage, answered.about));
}

}  // namespace ingrain::serve
