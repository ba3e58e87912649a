// Tools in the shapes of three APIs, as chat templates take them.
#include "serve/api/ask.h"

#include "base/text.h"

#include <algorithm>
#include <functional>
#include <set>

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostTools = 128;

/// {"type": "function", "function": {"name", "description", "parameters"}}, from the fields of one of the shapes.
Json function_tool(Fields& fields, std::string_view schema_name, ToolUse& use) {
  const std::string name = fields.need_string("name");
  const bool plain = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  });
  if (!plain) refuse(fields.path("name"), "'{}' must be 1 to 64 letters, digits, '_', '-' or '.'", fields.path("name"));
  Json function = {{"name", name}};
  if (const auto description = fields.string("description")) function["description"] = *description;
  const Json* parameters = fields.object(schema_name);
  function["parameters"] = parameters ? *parameters : Json{{"type", "object"}, {"properties", Json::object()}};
  if (fields.boolean("strict").value_or(false)) use.strict.push_back(name);
  fields.refuse_unread();
  return {{"type", "function"}, {"function", std::move(function)}};
}

void each_tool(const Json& tools, ToolUse& use, const std::function<Json(const Json&, const std::string&)>& read) {
  if (tools.size() > kMostTools)
    refuse("tools", "'tools' has {} elements; at most {} are taken", tools.size(), kMostTools);
  Json& out = use.tools = Json::array();
  std::set<std::string> names;
  for (size_t i = 0; i < tools.size(); ++i) {
    out.push_back(read(tools[i], element("tools", i)));
    const auto name = out.back()["function"]["name"].get<std::string>();
    if (!names.insert(name).second) refuse("tools", "'tools': '{}' is given twice", name);
  }
}

void need_function_type(Fields& fields, std::string_view what) {
  const std::string type = fields.need_string("type");
  if (type != what)
    refuse_unsupported(fields.path("type"), fmt::format("a tool of type '{}'; functions are", printable(type)));
}

}  // namespace

void read_chat_tools(const Json& tools, ToolUse& use) {
  each_tool(tools, use, [&](const Json& tool, const std::string& path) {
    Fields fields(tool, path);
    need_function_type(fields, "function");
    fields.need("function");
    Fields inner(*fields.object("function"), fields.path("function"));
    fields.refuse_unread();
    return function_tool(inner, "parameters", use);
  });
}

void read_responses_tools(const Json& tools, ToolUse& use) {
  use.schema_at = "parameters";
  each_tool(tools, use, [&](const Json& tool, const std::string& path) {
    Fields fields(tool, path);
    need_function_type(fields, "function");
    return function_tool(fields, "parameters", use);
  });
}

void read_anthropic_tools(const Json& tools, ToolUse& use) {
  use.schema_at = "input_schema";
  each_tool(tools, use, [&](const Json& tool, const std::string& path) {
    Fields fields(tool, path);
    if (fields.take("type") != nullptr) need_function_type(fields, "custom");
    fields.accept({"cache_control"});
    fields.need("input_schema");
    return function_tool(fields, "input_schema", use);
  });
}

void read_tool_choice(Fields& fields, ToolUse& tools) {
  const Json* choice = fields.take("tool_choice");
  tools.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  if (choice == nullptr) return;
  if (choice->is_string()) {
    const std::string word = *fields.word("tool_choice", {"auto", "none", "required"});
    tools.choice = word == "auto"   ? ToolUse::Choice::automatic
                   : word == "none" ? ToolUse::Choice::none
                                    : ToolUse::Choice::required;
  } else {
    Fields inner(*choice, fields.path("tool_choice"));
    need_function_type(inner, "function");
    const Json* function = inner.object("function");
    if (function != nullptr) {
      Fields named(*function, inner.path("function"));
      tools.name = named.need_string("name");
      named.refuse_unread();
    } else {
      tools.name = inner.need_string("name");
    }
    inner.refuse_unread();
    tools.choice = ToolUse::Choice::named;
    const bool known = std::any_of(tools.tools.begin(), tools.tools.end(),
                                   [&](const Json& tool) { return tool["function"]["name"] == tools.name; });
    if (!known) refuse("tool_choice", "'tool_choice' names '{}', which is not in 'tools'", printable(tools.name));
  }
  if (tools.choice == ToolUse::Choice::required && tools.tools.empty())
    refuse("tool_choice", "'tool_choice' is 'required', and 'tools' is empty");
}

}  // namespace ingrain::serve::api
