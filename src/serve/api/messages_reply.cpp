#include "serve/api/messages_api.h"

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

/// Arguments that are no object are handed on as they are, in one.
Json tool_use_block(const Json& call) {
  const std::string arguments = call["function"]["arguments"];
  Json input = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  if (!input.is_object()) input = {{"arguments", arguments}};
  return {{"type", "tool_use"}, {"id", call["id"]}, {"name", call["function"]["name"]}, {"input", std::move(input)}};
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
  if (!said.calls.empty()) return {"tool_use", nullptr};
  // A model without a template ends its answers by texts of its own.
  if (reason == StopReason::stop_string && !stops.empty())
    return {"stop_sequence", stops.size() == 1 ? Json(stops[0]) : Json(nullptr)};
  const bool ended = reason == StopReason::stop_string || reason == StopReason::end_of_text;
  return {ended ? "end_turn" : "max_tokens", nullptr};
}

Json anthropic_reply(const ReplyHead& head, const Said& said, const AnthropicEnd& end, const Usage& usage,
                     const Json& about) {
  Json content = Json::array();
  if (!said.text.empty() || said.calls.empty()) content.push_back({{"type", "text"}, {"text", said.text}});
  for (const Json& call : said.calls) content.push_back(tool_use_block(call));
  Json out = anthropic_message(head, std::move(content), end.reason, end.sequence, usage);
  out["ingrain"] = about;
  return out;
}

std::string AnthropicEvents::begin() const {
  return typed(
             {{"type", "message_start"}, {"message", anthropic_message(head_, Json::array(), nullptr, nullptr, {})}}) +
         typed({{"type", "ping"}});
}

std::string AnthropicEvents::text(const std::string& delta) {
  std::string out = open_ ? std::string() : block_start(0, {{"type", "text"}, {"text", ""}});
  open_ = true;
  return out + block_delta(0, {{"type", "text_delta"}, {"text", delta}});
}

std::string AnthropicEvents::end(const Said& said, const AnthropicEnd& end, const Usage& usage, const Json& about) {
  std::string out;
  int64_t index = 0;
  if (!open_ && (!said.text.empty() || said.calls.empty())) out += text(said.text);
  if (open_) out += block_stop(index++);
  for (const Json& call : said.calls) {
    Json block = tool_use_block(call);
    const std::string input = dump(block["input"]);
    block["input"] = Json::object();
    out += block_start(index, block) + block_delta(index, {{"type", "input_json_delta"}, {"partial_json", input}}) +
           block_stop(index);
    ++index;
  }
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
