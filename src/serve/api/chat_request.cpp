#include "serve/api/chat_request.h"

#include "base/text.h"

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostMessages = 100'000;

Json read_tool_calls(const Json& calls, const std::string& path) {
  Json out = Json::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    Fields call(calls[i], element(path, i));
    call.accept_only("type", {"function"});
    call.accept({"index"});
    const std::string id = call.need_string("id");
    call.need("function");
    Fields function(*call.object("function"), call.path("function"));
    Json inner = {{"name", function.need_string("name")}, {"arguments", function.need_string("arguments")}};
    function.refuse_unread();
    call.refuse_unread();
    out.push_back({{"id", id}, {"type", "function"}, {"function", std::move(inner)}});
  }
  return out;
}

Json read_chat_message(const Json& message, const std::string& path) {
  Fields fields(message, path);
  fields.need("role");
  if (fields.string("role") == "function") refuse_unsupported(fields.path("role"), "'function'; use 'tool'");
  const std::string role = *fields.word("role", {"system", "developer", "user", "assistant", "tool"});
  Json out = {{"role", role == "developer" ? "system" : role}};
  const Json* calls = role == "assistant" ? fields.array("tool_calls", 128) : nullptr;
  const bool calling = calls != nullptr && !calls->empty();
  const bool refusing = role == "assistant" && fields.take("refusal") != nullptr;
  const Json* content = calling || refusing ? fields.take("content") : &fields.need("content");
  out["content"] = content == nullptr    ? std::string()
                   : role == "assistant" ? read_content(*content, fields.path("content"), {"text", "refusal"})
                                         : read_content(*content, fields.path("content"), {"text"});
  if (calling) out["tool_calls"] = read_tool_calls(*calls, fields.path("tool_calls"));
  if (role == "tool") out["tool_call_id"] = fields.need_string("tool_call_id");
  // What names nobody, clients leave empty.
  if (const auto name = fields.string("name"); name && !name->empty()) out["name"] = *name;
  if (role == "assistant") {
    // One thing under three names. Templates read the first, those of gpt-oss the second: transformers fills both, too.
    for (const char* name : {"reasoning_content", "thinking", "reasoning"})
      if (const auto thought = fields.string(name); thought && !out.contains("thinking")) {
        out["reasoning_content"] = *thought;
        out["thinking"] = *thought;
      }
    if (const auto refusal = fields.string("refusal")) out["content"].get_ref<std::string&>() += *refusal;
    fields.accept({"annotations"});
  }
  fields.refuse_unread();
  return out;
}

void read_chat_length(Fields& fields, const AskLimits& limits, Ask& ask) {
  const auto most = static_cast<int64_t>(limits.longest);
  const auto old_name = fields.integer("max_tokens", 0, most);
  const auto new_name = fields.integer("max_completion_tokens", 0, most);
  if (old_name && new_name && *old_name != *new_name)
    refuse("max_tokens", "'max_tokens' and 'max_completion_tokens' differ; give one");
  ask.writing.max_tokens = new_name ? *new_name : old_name.value_or(limits.max_tokens);
}

}  // namespace

Json read_chat_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty()) refuse("messages", "'messages' must be a list of at least one message");
  if (messages.size() > kMostMessages) refuse("messages", "'messages' has more than {} messages", kMostMessages);
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) out.push_back(read_chat_message(messages[i], element("messages", i)));
  return out;
}

Ask read_chat_request(const Json& body, const AskLimits& limits) {
  Fields fields(body);
  Ask ask;
  read_common(fields, ask);
  read_sampling(fields, ask);
  read_stop(fields, "stop", ask);
  read_logit_bias(fields, ask);
  ask.prompt.messages = read_chat_messages(fields.need("messages"));
  read_chat_length(fields, limits, ask);
  ask.writing.choices = fields.integer("n", 1, limits.most_choices).value_or(1);
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (top && !logprobs) refuse("top_logprobs", "'top_logprobs' needs 'logprobs': true");
  if (logprobs) ask.writing.top_logprobs = top.value_or(0);
  if (const Json* format = fields.object("response_format")) ask.form = read_form(*format, "response_format");
  if (const Json* tools = fields.array("tools", 128)) read_chat_tools(*tools, ask.tools);
  read_tool_choice(fields, ask.tools);
  read_stream_options(fields, ask);
  read_metadata(fields);
  fields.accept({"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"});
  fields.accept_only("service_tier", {"auto", "default"});
  fields.accept_only("store", {false}, "true; POST /v1/responses keeps answers");
  fields.accept_only("modalities", {Json::array({"text"})});
  fields.accept_only("verbosity", {"medium"});
  read_effort(fields, "reasoning_effort", ask);
  fields.refuse_unread();
  return ask;
}

}  // namespace ingrain::serve::api
