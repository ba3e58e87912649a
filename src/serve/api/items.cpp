#include "serve/api/items.h"

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
  fields.accept({"id", "status", "phase"});
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
  else
    refuse_unsupported(fields.path("type"), fmt::format("an item of type '{}'", printable(type)));
  fields.finish();
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
  for (const Json& item : items) {
    const auto answer = item.find(kAnswerMember);
    if (answer != item.end() && answer->is_null()) continue;  // said by the item before it
    const std::string type = item.value("type", "message");
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
  }
  return out;
}

Json shown(Json item) {
  item.erase(kAnswerMember);
  return item;
}

Json output_items(const Said& said, const Json& logprobs, bool complete, std::vector<std::string>& ids) {
  Json out = Json::array();
  const auto id = [&](const char* prefix) {
    if (ids.size() <= out.size()) ids.push_back(random_id(prefix));
    return ids[out.size()];
  };
  const char* status = complete ? "completed" : "incomplete";
  if (!said.text.empty() || said.calls.empty()) {
    Json part = {{"type", "output_text"},
                 {"text", said.text},
                 {"annotations", Json::array()},
                 {"logprobs", logprobs.is_null() ? Json::array() : logprobs}};
    out.push_back({{"id", id("msg_")},
                   {"type", "message"},
                   {"status", status},
                   {"role", "assistant"},
                   {"content", Json::array({std::move(part)})}});
  }
  for (const Json& call : said.calls) {
    out.push_back({{"id", id("fc_")},
                   {"type", "function_call"},
                   {"status", "completed"},
                   {"call_id", call["id"]},
                   {"name", call["function"]["name"]},
                   {"arguments", call["function"]["arguments"]}});
  }
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
      out.after = value;
    } else if (!name.starts_with("include")) {
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
    if (begin == order.end()) refuse("after", "'after': there is no item '{}'", printable(page.after));
    ++begin;
  }
  Json data = Json::array();
  for (; begin != order.end() && static_cast<int64_t>(data.size()) < page.limit; ++begin)
    data.push_back(shown(**begin));
  return list_of(std::move(data), begin != order.end());
}

}  // namespace ingrain::serve::api
