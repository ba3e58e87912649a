#include "serve/api/messages_api.h"

#include "base/text.h"

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostTurns = 100'000;

/// A turn's blocks: its text, and what becomes messages of their own.
struct Turn {
  std::string text, thought;
  Json calls = Json::array(), results = Json::array();
};

void read_tool_use(Fields& block, Turn& turn) {
  block.need("input");
  turn.calls.push_back(
      {{"id", block.need_string("id")},
       {"type", "function"},
       {"function", {{"name", block.need_string("name")}, {"arguments", dump(*block.object("input"))}}}});
}

void turn_thought(Fields& block, Turn& turn) {
  turn.thought += block.need_string("thinking");
  block.accept({"signature"});
}

void read_tool_result(Fields& block, Turn& turn) {
  const Json* content = block.take("content");
  const std::string text = content ? read_content(*content, block.path("content"), {"text"}) : std::string();
  const bool failed = block.boolean("is_error").value_or(false);
  turn.results.push_back({{"role", "tool"},
                          {"content", failed ? "error: " + text : text},
                          {"tool_call_id", block.need_string("tool_use_id")}});
}

Turn read_turn(const Json& content, const std::string& path, bool assistant) {
  Turn out;
  if (content.is_string()) {
    out.text = content.get<std::string>();
    return out;
  }
  if (!content.is_array()) refuse(path, "'{}' must be a string or a list of blocks", path);
  for (size_t i = 0; i < content.size(); ++i) {
    Fields block(content[i], element(path, i));
    const std::string type = block.need_string("type");
    if (type == "text")
      out.text += block.need_string("text");
    else if (type == "thinking" && assistant)
      turn_thought(block, out);
    else if (type == "tool_use" && assistant)
      read_tool_use(block, out);
    else if (type == "tool_result" && !assistant)
      read_tool_result(block, out);
    else
      refuse_unsupported(block.path("type"), fmt::format("a block of type '{}' in this role", printable(type)));
    block.accept({"cache_control", "citations"});
    block.refuse_unread();
  }
  return out;
}

void add_turn(Json& messages, const Json& message, const std::string& path) {
  Fields fields(message, path);
  fields.need("role");
  const std::string role = *fields.word("role", {"user", "assistant"});
  Turn turn = read_turn(fields.need("content"), fields.path("content"), role == "assistant");
  fields.refuse_unread();
  for (Json& result : turn.results) messages.push_back(std::move(result));
  if (!turn.results.empty() && turn.text.empty()) return;
  messages.push_back({{"role", role}, {"content", turn.text}});
  if (!turn.thought.empty()) messages.back()["reasoning_content"] = turn.thought;
  if (!turn.calls.empty()) messages.back()["tool_calls"] = std::move(turn.calls);
}

Json read_anthropic_messages(Fields& fields) {
  Json out = Json::array();
  if (const Json* system = fields.take("system"))
    out.push_back({{"role", "system"}, {"content", read_content(*system, "system", {"text"})}});
  fields.need("messages");
  const Json& messages = *fields.array("messages", kMostTurns);
  if (messages.empty()) refuse("messages", "'messages' must hold at least one message");
  for (size_t i = 0; i < messages.size(); ++i) add_turn(out, messages[i], element("messages", i));
  return out;
}

bool is_empty_text(const Json& content) { return content.is_string() && content.get_ref<const std::string&>().empty(); }

/// A last message of the assistant's is how its answer begins.
void read_beginning(Prompt& prompt) {
  Json& last = prompt.messages.back();
  prompt.continues = last["role"] == "assistant" && !last.contains("tool_calls") && !is_empty_text(last["content"]);
  if (prompt.continues) last.erase("reasoning_content");
}

void read_anthropic_choice(Fields& fields, ToolUse& tools) {
  const Json* choice = fields.object("tool_choice");
  if (choice == nullptr) return;
  Fields inner(*choice, "tool_choice");
  inner.need("type");
  const std::string type = *inner.word("type", {"auto", "any", "tool", "none"});
  tools.choice = type == "auto"   ? ToolUse::Choice::automatic
                 : type == "any"  ? ToolUse::Choice::required
                 : type == "none" ? ToolUse::Choice::none
                                  : ToolUse::Choice::named;
  if (type == "tool") tools.name = inner.need_string("name");
  tools.parallel = !inner.boolean("disable_parallel_tool_use").value_or(false);
  inner.refuse_unread();
  bool known = type != "tool";
  for (const Json& tool : tools.tools) known = known || tool["function"]["name"] == tools.name;
  if (!known || (type == "any" && tools.tools.empty()))
    refuse("tool_choice", "'tool_choice' wants a tool that is not in 'tools'");
}

/// As in Anthropic's API a model thinks where it is told to.
void read_thinking(Fields& fields, Ask& ask, bool counting) {
  const Json* thinking = fields.object("thinking");
  if (thinking == nullptr) return set_thinking(ask, "none", "thinking");
  Fields inner(*thinking, "thinking");
  inner.need("type");
  const std::string type = *inner.word("type", {"enabled", "adaptive", "disabled"});
  set_thinking(ask, type == "disabled" ? "none" : "medium", "thinking");
  if (type == "enabled") {
    inner.need("budget_tokens");
    ask.thinking.budget = *inner.integer("budget_tokens", 1, INT64_MAX);
    if (!counting && ask.thinking.budget >= ask.writing.max_tokens)
      refuse("thinking.budget_tokens", "'thinking.budget_tokens' must be less than 'max_tokens'");
  }
  inner.accept_only("display", {"summarized"}, "thoughts come as they are");
  inner.refuse_unread();
}

}  // namespace

Ask read_messages_request(const Json& body, const AskLimits& limits, bool counting) {
  Fields fields(body);
  Ask ask;
  read_common(fields, ask);
  read_sampling(fields, ask, 1);
  read_stop(fields, "stop_sequences", ask);
  ask.prompt.messages = read_anthropic_messages(fields);
  read_beginning(ask.prompt);
  if (!counting) fields.need("max_tokens");
  const auto most = fields.integer("max_tokens", 1, static_cast<int64_t>(limits.longest));
  ask.writing.max_tokens = most.value_or(limits.max_tokens);
  if (const Json* tools = fields.array("tools", 128)) read_anthropic_tools(*tools, ask.tools);
  read_anthropic_choice(fields, ask.tools);
  read_thinking(fields, ask, counting);
  if (const Json* metadata = fields.object("metadata")) {
    Fields inner(*metadata, "metadata");
    inner.accept({"user_id"});
    inner.refuse_unread();
  }
  fields.accept_only("service_tier", {"auto", "standard_only"});
  fields.accept({"cache_control"});
  fields.refuse_unread();
  return ask;
}

}  // namespace ingrain::serve::api
