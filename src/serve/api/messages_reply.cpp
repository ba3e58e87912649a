#include "serve/api/messages_api.h"

#include "base/json.h"

#include <algorithm>

namespace ingrain::serve::api {
namespace {

Json anthropic_message(const ReplyHead& head, Json content, const Json& reason, const Json& sequence,
                       const Usage& usage) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", std::move(content)},
          {"stop_reason", reason},
          {"stop_sequence", sequence},
          {"usage", anthropic_usage(usage)}};
}

/// Thoughts are not signed: whoever sends them back may say what he likes, as with all of his messages. Clients want
/// some text there.
Json thinking_block(const std::string& thought, const std::string& signature) {
  return {{"type", "thinking"}, {"thinking", thought}, {"signature", signature}};
}

/// Arguments that are no object are handed on as they are, in one.
Json tool_use_block(const Json& call) {
  const std::string arguments = call["function"]["arguments"];
  auto input = parse_exactly(arguments);
  if (!input || !input->is_object()) input = Json::object({{"arguments", arguments}});
  return {{"type", "tool_use"}, {"id", call["id"]}, {"name", call["function"]["name"]}, {"input", std::move(*input)}};
}

std::string typed(Json data) {
  const std::string type = data["type"];
  return sse(data, type);
}

std::string block_start(int64_t index, const Json& block) {
  return typed({{"type", "content_block_start"}, {"index", index}, {"content_block", block}});
}

std::string block_delta(int64_t index, const Json& delta) {
  return typed({{"type", "content_block_delta"}, {"index", index}, {"delta", delta}});
}

std::string block_stop(int64_t index) { return typed({{"type", "content_block_stop"}, {"index", index}}); }

}  // namespace

AnthropicEnd anthropic_end(StopReason reason, const Said& said, const std::vector<std::string>& stops) {
  if (!said.calls.empty() && !said.cut_call) return {"tool_use", nullptr};
  // A model without a template ends its answers by texts of its own.
  if (reason == StopReason::stop_string && !stops.empty())
    return {"stop_sequence", stops.size() == 1 ? Json(stops[0]) : Json(nullptr)};
  const bool ended = reason == StopReason::stop_string || reason == StopReason::end_of_text;
  return {ended ? "end_turn" : "max_tokens", nullptr};
}

Json anthropic_reply(const ReplyHead& head, const Said& said, const AnthropicEnd& end, const Usage& usage,
                     const Json& about) {
  Json content = Json::array();
  if (!said.thought.empty()) content.push_back(thinking_block(said.thought, head.id));
  for (size_t i = 0; i <= said.calls.size(); ++i) {
    const bool here = i == std::min(said.calls_before_text, said.calls.size());
    if (here && (!said.text.empty() || (content.empty() && said.calls.empty())))
      content.push_back({{"type", "text"}, {"text", said.text}});
    if (i < said.calls.size()) content.push_back(tool_use_block(said.calls[i]));
  }
  Json out = anthropic_message(head, std::move(content), end.reason, end.sequence, usage);
  out["ingrain"] = about;
  return out;
}

std::string AnthropicEvents::begin() const {
  return typed(
             {{"type", "message_start"}, {"message", anthropic_message(head_, Json::array(), nullptr, nullptr, {})}}) +
         typed({{"type", "ping"}});
}

std::string AnthropicEvents::close() {
  if (!open_) return {};
  std::string out;
  if (*open_ == AnswerPart::Kind::thought)
    out = block_delta(index_, {{"type", "signature_delta"}, {"signature", head_.id}});
  open_.reset();
  return out + block_stop(index_);
}

std::string AnthropicEvents::piece(const SaidPiece& piece) {
  using Kind = AnswerPart::Kind;
  if (piece.kind == Kind::call_end) return close();
  if (piece.kind == Kind::arguments)
    return block_delta(index_, {{"type", "input_json_delta"}, {"partial_json", piece.text}});
  std::string out;
  if (piece.kind == Kind::call || open_ != piece.kind) {
    out = close();
    open_ = piece.kind;
    ++index_;
    out += block_start(
        index_, piece.kind == Kind::text ? Json{{"type", "text"}, {"text", ""}}
                : piece.kind == Kind::thought
                    ? thinking_block("", "")
                    : Json{{"type", "tool_use"}, {"id", piece.id}, {"name", piece.text}, {"input", Json::object()}});
  }
  if (piece.kind == Kind::text) out += block_delta(index_, {{"type", "text_delta"}, {"text", piece.text}});
  if (piece.kind == Kind::thought) out += block_delta(index_, {{"type", "thinking_delta"}, {"thinking", piece.text}});
  return out;
}

std::string AnthropicEvents::end(const AnthropicEnd& end, const Usage& usage, const Json& about) {
  std::string out;
  if (index_ < 0) out += piece({.text = ""});  // an empty answer
  out += close();
  out += typed({{"type", "message_delta"},
                {"delta", {{"stop_reason", end.reason}, {"stop_sequence", end.sequence}}},
                {"usage", anthropic_usage(usage)},
                {"ingrain", about}});
  return out + typed({{"type", "message_stop"}});
}

std::string AnthropicEvents::progress(const Json& progress) const {
  Json out = {{"type", "ping"}};
  out["ingrain"] = progress;
  return typed(std::move(out));
}

}  // namespace ingrain::serve::api
