#include "serve/api/chat_reply.h"

namespace ingrain::serve::api {
namespace {

Json headed(const ReplyHead& head, const char* object, Json choices) {
  return {{"id", head.id},
          {"object", object},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", "fp_" + head.fingerprint},
          {"choices", std::move(choices)}};
}

}  // namespace

Json chat_reply(const ReplyHead& head, const std::vector<ChatChoice>& choices, const Usage& usage, const Json& about) {
  Json list = Json::array();
  for (const ChatChoice& choice : choices) {
    Json message = {{"role", "assistant"}, {"content", choice.said.text}, {"refusal", nullptr}};
    if (!choice.said.thought.empty()) message["reasoning_content"] = choice.said.thought;
    if (!choice.said.calls.empty()) {
      message["tool_calls"] = choice.said.calls;
      if (choice.said.text.empty()) message["content"] = nullptr;
    }
    const Json logprobs =
        choice.with_logprobs ? Json{{"content", chat_logprobs(choice.tokens)}, {"refusal", nullptr}} : Json(nullptr);
    list.push_back({{"index", list.size()},
                    {"message", std::move(message)},
                    {"logprobs", logprobs},
                    {"finish_reason", finish_reason(choice.reason, choice.said)}});
  }
  Json out = headed(head, "chat.completion", std::move(list));
  out["service_tier"] = "default";
  out["usage"] = chat_usage(usage);
  out["ingrain"] = about;
  return out;
}

Json ChatChunks::chunk(Json choices) const {
  Json out = headed(head_, "chat.completion.chunk", std::move(choices));
  out["service_tier"] = "default";
  if (with_usage_) out["usage"] = nullptr;
  return out;
}

Json ChatChunks::of_choice(int64_t choice, Json delta, const Json& logprobs, const Json& reason) const {
  return chunk(Json::array(
      {{{"index", choice}, {"delta", std::move(delta)}, {"logprobs", logprobs}, {"finish_reason", reason}}}));
}

Json ChatChunks::begin(int64_t choice) const {
  return of_choice(choice, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr, nullptr);
}

Json ChatChunks::piece(int64_t choice, const SaidPiece& piece, const Json& logprobs) const {
  const Json scores = logprobs.is_null() ? Json(nullptr) : Json{{"content", logprobs}, {"refusal", nullptr}};
  switch (piece.kind) {
    case AnswerPart::Kind::text: return of_choice(choice, {{"content", piece.text}}, scores, nullptr);
    case AnswerPart::Kind::thought: return of_choice(choice, {{"reasoning_content", piece.text}}, scores, nullptr);
    case AnswerPart::Kind::call: {
      const Json call = {{"index", piece.call},
                         {"id", piece.id},
                         {"type", "function"},
                         {"function", {{"name", piece.text}, {"arguments", ""}}}};
      return of_choice(choice, {{"tool_calls", Json::array({call})}}, scores, nullptr);
    }
    case AnswerPart::Kind::arguments: {
      const Json call = {{"index", piece.call}, {"function", {{"arguments", piece.text}}}};
      return of_choice(choice, {{"tool_calls", Json::array({call})}}, scores, nullptr);
    }
    case AnswerPart::Kind::call_end: return nullptr;
  }
  return nullptr;
}

Json ChatChunks::end(int64_t choice, const std::string& reason) const {
  return of_choice(choice, Json::object(), nullptr, reason);
}

Json ChatChunks::usage(const Usage& usage, const Json& about) const {
  Json out = chunk(Json::array());
  out["usage"] = chat_usage(usage);
  out["ingrain"] = about;
  return out;
}

Json ChatChunks::progress(const Json& progress) const {
  Json out = chunk(Json::array());
  out["ingrain"] = progress;
  return out;
}

Json completion_reply(const ReplyHead& head, const std::vector<TextChoice>& choices, const Usage& usage,
                      const Json& about) {
  Json list = Json::array();
  for (const TextChoice& choice : choices) {
    int64_t offset = 0;
    list.push_back({{"text", choice.text},
                    {"index", list.size()},
                    {"logprobs", choice.with_logprobs ? legacy_logprobs(choice.tokens, offset) : Json(nullptr)},
                    {"finish_reason", finish_reason(choice.reason, {})}});
  }
  Json out = headed(head, "text_completion", std::move(list));
  out["usage"] = chat_usage(usage);
  out["ingrain"] = about;
  return out;
}

Json completion_chunk(const ReplyHead& head, int64_t choice, const std::string& text, const Json& logprobs,
                      const Json& reason, bool with_usage) {
  Json out =
      headed(head, "text_completion",
             Json::array({{{"text", text}, {"index", choice}, {"logprobs", logprobs}, {"finish_reason", reason}}}));
  if (with_usage) out["usage"] = nullptr;
  return out;
}

Json completion_usage_chunk(const ReplyHead& head, const Usage& usage, const Json& about) {
  Json out = headed(head, "text_completion", Json::array());
  out["usage"] = chat_usage(usage);
  out["ingrain"] = about;
  return out;
}

}  // namespace ingrain::serve::api
