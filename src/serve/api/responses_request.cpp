#include "serve/api/responses_request.h"

#include "base/text.h"
#include "serve/api/items.h"

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostItems = 100'000;

std::string read_conversation(Fields& fields) {
  const Json* conversation = fields.take("conversation");
  if (conversation == nullptr) return {};
  if (conversation->is_string()) return conversation->get<std::string>();
  Fields inner(*conversation, "conversation");
  const std::string out = inner.need_string("id");
  inner.refuse_unread();
  return out;
}

/// Whether scores of the tokens are asked for.
bool read_include(Fields& fields) {
  bool logprobs = false;
  const Json* include = fields.array("include", 16);
  if (include == nullptr) return false;
  for (const Json& what : *include) {
    if (what == "message.output_text.logprobs")
      logprobs = true;
    else if (what != "reasoning.encrypted_content")  // thoughts come as they are
      refuse_unsupported("include", what.is_string() ? printable(what.get<std::string>()) : "a string is wanted");
  }
  return logprobs;
}

Json read_text_format(Fields& fields, Ask& ask) {
  Json format = {{"type", "text"}};
  if (const Json* text = fields.object("text")) {
    Fields inner(*text, "text");
    if (const Json* given = inner.object("format")) {
      ask.form = read_form(*given, "text.format");
      format = *given;
    }
    inner.accept_only("verbosity", {"medium"});
    inner.refuse_unread();
  }
  return {{"format", std::move(format)}, {"verbosity", "medium"}};
}

/// Accepted where it changes nothing, refused by name where it would.
void read_what_is_not_served(Fields& fields, Ask& ask) {
  fields.accept({"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"});
  fields.accept_only("service_tier", {"auto", "default"});
  fields.accept_only("background", {false}, "true");
  if (const Json* reasoning = fields.object("reasoning")) {
    Fields inner(*reasoning, "reasoning");
    read_effort(inner, "effort", ask);
    inner.accept_only("summary", {"auto"}, "thoughts come whole, as content; \"auto\" is");
    inner.refuse_unread();
  }
  if (const Json* options = fields.object("stream_options")) {
    Fields inner(*options, "stream_options");
    inner.accept_only("include_obfuscation", {false}, "only false is");
    inner.refuse_unread();
  }
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

ResponsesAsk read_responses_request(const Json& body, const AskLimits& limits) {
  Fields fields(body);
  ResponsesAsk out;
  Ask& ask = out.ask;
  read_common(fields, ask);
  read_sampling(fields, ask);
  read_stop(fields, "stop", ask);
  read_logit_bias(fields, ask);
  out.input = read_input(fields.need("input"), "input", kMostItems);
  if (out.input.empty()) refuse("input", "'input' is empty");
  out.instructions = fields.string("instructions").value_or("");
  out.previous_response_id = fields.string("previous_response_id").value_or("");
  out.conversation = read_conversation(fields);
  if (!out.previous_response_id.empty() && !out.conversation.empty())
    refuse("previous_response_id", "'previous_response_id' and 'conversation' exclude each other");
  out.store = fields.boolean("store").value_or(true);
  out.thread = fields.string("thread").value_or("");
  if (!out.thread.empty() && !out.store) refuse("thread", "'thread' keeps the response: it excludes 'store': false");
  ask.writing.keep = out.store;
  const auto most = fields.integer("max_output_tokens", 1, static_cast<int64_t>(limits.longest));
  ask.writing.max_tokens = most.value_or(limits.max_tokens);
  const Json text = read_text_format(fields, ask);
  if (const Json* tools = fields.array("tools", 128)) read_responses_tools(*tools, ask.tools);
  read_tool_choice(fields, ask.tools);
  const auto top = fields.integer("top_logprobs", 0, 20);
  const bool scores = read_include(fields);
  if (scores || top.value_or(0) > 0) ask.writing.top_logprobs = top.value_or(0);
  const auto truncation = fields.word("truncation", {"disabled", "auto"});
  const Json metadata = read_metadata(fields);
  read_what_is_not_served(fields, ask);
  fields.refuse_unread();
  out.echo = {
      {"instructions", or_null(out.instructions)},
      {"max_output_tokens", most ? Json(*most) : Json(nullptr)},
      {"metadata", metadata},
      {"parallel_tool_calls", ask.tools.parallel},
      {"previous_response_id", or_null(out.previous_response_id)},
      {"store", out.store},
      {"temperature", ask.writing.sampling.temperature},
      {"text", text},
      {"tool_choice", body.contains("tool_choice") && !body["tool_choice"].is_null() ? body["tool_choice"] : "auto"},
      {"tools", body.contains("tools") && body["tools"].is_array() ? body["tools"] : Json::array()},
      {"top_logprobs", top.value_or(0)},
      {"top_p", ask.writing.sampling.top_p},
      {"truncation", truncation.value_or("disabled")}};
  const std::string& effort = ask.thinking.effort;
  out.echo["reasoning"] = {{"effort", or_null(effort)}, {"summary", nullptr}};
  if (!out.conversation.empty()) out.echo["conversation"] = {{"id", out.conversation}};
  return out;
}

}  // namespace ingrain::serve::api
