#include "serve/api/items.h"

#include "base/utf8.h"
#include "base/text.h"
#include "serve/api/ask.h"
#include "serve/store/ids.h"

#include <algorithm>
#include <charconv>

namespace ingrain::serve::api {
namespace {

Json read_message_item(Fields& fields) {
  const Json& content = fields.need("content");
  fields.need("role");
  const std::string role = *fields.word("role", {"user", "system", "developer", "assistant"});
  const bool answer = role == "assistant";
  const std::string text =
      answer ? read_content(content, fields.path("content"), {"output_text", "input_text", "text", "refusal"})
             : read_content(content, fields.path("content"), {"input_text", "text"});
  fields.accept({"id", "status"});
  Json part = {{"type", answer ? "output_text" : "input_text"}, {"text", text}};
  if (answer) part["annotations"] = Json::array(), part["logprobs"] = Json::array();
  return {{"id", random_id("msg_")},
          {"type", "message"},
          {"status", "completed"},
          {"role", role},
          {"content", Json::array({std::move(part)})}};
}

Json read_call_item(Fields& fields) {
  fields.accept({"id", "status"});
  return {{"id", random_id("fc_")},
          {"type", "function_call"},
          {"status", "completed"},
          {"call_id", fields.need_string("call_id")},
          {"name", fields.need_string("name")},
          {"arguments", fields.need_string("arguments")}};
}

Json read_result_item(Fields& fields) {
  fields.accept({"id", "status"});
  return {{"id", random_id("fco_")},
          {"type", "function_call_output"},
          {"status", "completed"},
          {"call_id", fields.need_string("call_id")},
          {"output", read_content(fields.need("output"), fields.path("output"), {"input_text", "text"})}};
}

Json reasoning_item(const std::string& id, const std::string& text, const char* status) {
  Json content = Json::array();
  if (!text.empty()) content.push_back({{"type", "reasoning_text"}, {"text", text}});
  return {{"id", id},
          {"type", "reasoning"},
          {"status", status},
          {"summary", Json::array()},
          {"content", std::move(content)}};
}

/// Its content; where another server kept that to itself, the summary.
Json read_reasoning_item(Fields& fields) {
  fields.accept({"id", "status"});
  std::string text;
  if (const Json* summary = fields.array("summary", 1024))
    text = read_content(*summary, fields.path("summary"), {"summary_text"});
  if (const Json* content = fields.take("content"))
    if (std::string whole = read_content(*content, fields.path("content"), {"reasoning_text", "text"}); !whole.empty())
      text = std::move(whole);
  return reasoning_item(random_id("rs_"), text, "completed");
}

std::string text_of_item(const Json& item) {
  std::string out;
  for (const Json& part : item["content"]) out += part.value("text", "");
  return out;
}

Json call_of_item(const Json& item) {
  return {{"id", item["call_id"]},
          {"type", "function"},
          {"function", {{"name", item["name"]}, {"arguments", item["arguments"]}}}};
}

/// Adds a call to the assistant's message before it, or to a new one.
void add_call(Json& messages, const Json& item) {
  const bool joins =
      !messages.empty() && messages.back()["role"] == "assistant" && !messages.back().contains(kAnswerMember);
  if (!joins) messages.push_back({{"role", "assistant"}, {"content", ""}});
  Json& message = messages.back();
  if (!message.contains("tool_calls")) message["tool_calls"] = Json::array();
  message["tool_calls"].push_back(call_of_item(item));
}

}  // namespace

Json read_item(const Json& item, const std::string& path) {
  Fields fields(item, path);
  const std::string type = fields.string("type").value_or("message");
  Json out;
  if (type == "message")
    out = read_message_item(fields);
  else if (type == "function_call")
    out = read_call_item(fields);
  else if (type == "function_call_output")
    out = read_result_item(fields);
  else if (type == "reasoning")
    out = read_reasoning_item(fields);
  else
    refuse_unsupported(fields.path("type"), fmt::format("an item of type '{}'", printable(type)));
  fields.refuse_unread();
  return out;
}

Json read_input(const Json& input, const std::string& path, size_t most) {
  if (input.is_string()) return Json::array({read_item({{"role", "user"}, {"content", input}}, path)});
  if (!input.is_array()) refuse(path, "'{}' must be a text or a list of items", path);
  if (input.size() > most) refuse(path, "'{}' has {} items; at most {} are taken", path, input.size(), most);
  Json out = Json::array();
  for (size_t i = 0; i < input.size(); ++i) out.push_back(read_item(input[i], element(path, i)));
  return out;
}

Json messages_of(const Json& items) {
  Json out = Json::array();
  std::string thought;
  for (const Json& item : items) {
    const auto answer = item.find(kAnswerMember);
    if (answer != item.end() && answer->is_null()) continue;  // said by the item before it
    const std::string type = item.value("type", "message");
    if (type == "reasoning") {
      thought += text_of_item(item);
      continue;
    }
    if (answer != item.end()) {
      out.push_back({{"role", "assistant"}, {"content", type == "message" ? text_of_item(item) : ""}});
      if (type == "function_call") out.back()["tool_calls"] = Json::array({call_of_item(item)});
      out.back()[kAnswerMember] = *answer;
    } else if (type == "message") {
      const std::string role = item["role"];
      out.push_back({{"role", role == "developer" ? "system" : role}, {"content", text_of_item(item)}});
    } else if (type == "function_call") {
      add_call(out, item);
    } else {
      out.push_back({{"role", "tool"}, {"content", item["output"]}, {"tool_call_id", item["call_id"]}});
    }
    if (!thought.empty() && out.back()["role"] == "assistant") out.back()["reasoning_content"] = thought;
    thought.clear();
  }
  return out;
}

Json shown(Json item) {
  item.erase(kAnswerMember);
  return item;
}

Json shown_items(const Json& items) {
  Json out = Json::array();
  for (const Json& item : items) out.push_back(shown(item));
  return out;
}

Json output_items(const Said& said, const Json& logprobs, bool complete, std::vector<std::string>& ids) {
  Json out = Json::array();
  const auto id = [&](const char* prefix) {
    if (ids.size() <= out.size()) ids.push_back(random_id(prefix));
    return ids[out.size()];
  };
  const char* status = complete ? "completed" : "incomplete";
  const bool says_nothing_else = said.calls.empty() && (complete || said.thought.empty());
  const bool has_text = !said.text.empty() || says_nothing_else;
  if (!said.thought.empty()) {
    const bool over = complete || has_text || !said.calls.empty();
    out.push_back(reasoning_item(id("rs_"), said.thought, over ? "completed" : "incomplete"));
  }
  const auto add_text = [&] {
    Json part = {{"type", "output_text"},
                 {"text", said.text},
                 {"annotations", Json::array()},
                 {"logprobs", logprobs.is_null() ? Json::array() : logprobs}};
    out.push_back({{"id", id("msg_")},
                   {"type", "message"},
                   {"status", status},
                   {"role", "assistant"},
                   {"content", Json::array({std::move(part)})}});
  };
  for (size_t i = 0; i < said.calls.size(); ++i) {
    if (has_text && i == said.calls_before_text) add_text();
    const Json& call = said.calls[i];
    const bool cut = said.cut_call && i + 1 == said.calls.size();
    out.push_back({{"id", id("fc_")},
                   {"type", "function_call"},
                   {"status", cut ? "incomplete" : "completed"},
                   {"call_id", call["id"]},
                   {"name", call["function"]["name"]},
                   {"arguments", call["function"]["arguments"]}});
  }
  if (has_text && said.calls_before_text >= said.calls.size()) add_text();
  return out;
}

Json list_of(Json data, bool has_more) {
  const Json first = data.empty() ? Json(nullptr) : data.front()["id"],
             last = data.empty() ? Json(nullptr) : data.back()["id"];
  return {
      {"object", "list"}, {"data", std::move(data)}, {"first_id", first}, {"last_id", last}, {"has_more", has_more}};
}

Page read_page(const std::map<std::string, std::string>& query) {
  Page out;
  for (const auto& [name, value] : query) {
    if (name == "limit") {
      const char* end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, out.limit);
      if (read.ptr != end || read.ec != std::errc() || out.limit < 1 || out.limit > 100)
        refuse("limit", "'limit' must be from 1 to 100");
    } else if (name == "order") {
      if (value != "asc" && value != "desc") refuse("order", "'order' must be asc or desc");
      out.descending = value == "desc";
    } else if (name == "after") {
      if (count_utf8(value) > 120) refuse("after", "'after' has more than 120 characters");
      out.after = value;
    } else if (name != "include" && name != "include[]") {
      refuse_unsupported(name);
    }
  }
  return out;
}

Json page_of(const Json& items, const Page& page) {
  std::vector<const Json*> order;
  for (const Json& item : items) order.push_back(&item);
  if (page.descending) std::reverse(order.begin(), order.end());
  auto begin = order.begin();
  if (!page.after.empty()) {
    begin = std::find_if(order.begin(), order.end(), [&](const Json* item) { return (*item)["id"] == page.after; });
    if (begin == order.end()) refuse_missing("after", fmt::format("the item '{}'", printable(page.after)));
    ++begin;
  }
  Json data = Json::array();
  for (; begin != order.end() && static_cast<int64_t>(data.size()) < page.limit; ++begin)
    data.push_back(shown(**begin));
  return list_of(std::move(data), begin != order.end());
}

}  // namespace ingrain::serve::api
