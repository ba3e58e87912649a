#include "serve/api/reply.h"

#include "base/utf8.h"
#include "serve/api/fields.h"

#include <algorithm>
#include <cmath>

namespace ingrain::serve::api {
namespace {

Json score_json(const TokenScore& score) {
  Json bytes = Json::array();
  for (const char byte : score.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", token_text(score.bytes)}, {"logprob", finite(score.logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

Usage& Usage::operator+=(const Usage& more) {
  prompt += more.prompt, cached += more.cached, written += more.written, thought += more.thought;
  return *this;
}

Usage usage_of(const Outcome& outcome) {
  Usage out{outcome.prompt_tokens, outcome.cached_tokens, 0, 0};
  for (const Choice& choice : outcome.choices) out.written += choice.tokens;
  return out;
}

std::string finish_reason(StopReason reason, const Said& said) {
  if (!said.calls.empty() && !said.cut_call) return "tool_calls";
  return reason == StopReason::end_of_text || reason == StopReason::stop_string ? "stop" : "length";
}

Json chat_usage(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.written},
          {"total_tokens", usage.prompt + usage.written},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached}, {"audio_tokens", 0}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", usage.thought},
            {"audio_tokens", 0},
            {"accepted_prediction_tokens", 0},
            {"rejected_prediction_tokens", 0}}}};
}

Json responses_usage(const Usage& usage) {
  return {{"input_tokens", usage.prompt},
          {"input_tokens_details", {{"cached_tokens", usage.cached}}},
          {"output_tokens", usage.written},
          {"output_tokens_details", {{"reasoning_tokens", usage.thought}}},
          {"total_tokens", usage.prompt + usage.written}};
}

Json anthropic_usage(const Usage& usage) {
  return {{"input_tokens", usage.prompt - usage.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached},
          {"output_tokens", usage.written}};
}

Json about_memory(const Outcome& outcome, const Json& passages) {
  Json out = {{"memory_bytes", outcome.memory_bytes},
              {"position", outcome.position},
              {"seconds_queued", outcome.seconds_queued},
              {"seconds_reading", outcome.seconds_reading},
              {"seconds_writing", outcome.seconds_writing}};
  if (passages.is_array()) out["passages"] = passages;
  return out;
}

Json progress_of(const Event& event) {
  if (event.kind == Event::Kind::reading)
    return {{"reading", {{"read", event.tokens_read}, {"of", event.tokens_to_read}}}};
  if (event.kind != Event::Kind::step) return nullptr;
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  return {{"step",
           {{"step", event.step.step},
            {"loss", number(event.step.loss_before)},
            {"gradient_norm", number(event.step.gradient_norm)}}}};
}

double finite(double logprob) { return std::isfinite(logprob) ? std::max(logprob, -9999.0) : -9999.0; }

std::string token_text(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string out;
  for (const char byte : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

Json chat_logprobs(const std::vector<WrittenToken>& tokens) {
  Json out = Json::array();
  for (const WrittenToken& token : tokens) {
    Json top = Json::array();
    for (const TokenScore& score : token.top) top.push_back(score_json(score));
    out.push_back(score_json(token.token));
    out.back()["top_logprobs"] = std::move(top);
  }
  return out;
}

Json legacy_logprobs(const std::vector<WrittenToken>& tokens, int64_t& offset) {
  Json out = {{"tokens", Json::array()},
              {"token_logprobs", Json::array()},
              {"top_logprobs", Json::array()},
              {"text_offset", Json::array()}};
  const auto named = [](const TokenScore& score) {
    const std::string text = token_text(score.bytes);
    return text == score.bytes ? text : "bytes:" + text;
  };
  for (const WrittenToken& token : tokens) {
    out["tokens"].push_back(named(token.token));
    out["token_logprobs"].push_back(finite(token.token.logprob));
    Json top = Json::object();
    for (const TokenScore& score : token.top) top[named(score)] = finite(score.logprob);
    top[named(token.token)] = finite(token.token.logprob);  // one more than was asked for, if it is none of them
    out["top_logprobs"].push_back(std::move(top));
    out["text_offset"].push_back(offset);
    offset += count_utf8(token.token.bytes);
  }
  return out;
}

std::string sse(const Json& data, std::string_view event) {
  std::string out;
  if (!event.empty()) out.append("event: ").append(event).append("\n");
  return out.append("data: ").append(dump(data)).append("\n\n");
}

}  // namespace ingrain::serve::api
