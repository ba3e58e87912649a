#include "serve/api/responses_reply.h"

#include "serve/store/ids.h"

#include <ctime>

namespace ingrain::serve::api {
namespace {

Json without_text(Json item) {
  item["status"] = "in_progress";
  if (item.contains("content")) item["content"] = Json::array();
  if (item.contains("arguments")) item["arguments"] = "";
  return item;
}

Json empty_part() {
  return {{"type", "output_text"}, {"text", ""}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

}  // namespace

Json response_begun(const ReplyHead& head, const Json& echo) {
  Json out = {{"id", head.id},
              {"object", "response"},
              {"created_at", head.created},
              {"status", "in_progress"},
              {"background", false},
              {"error", nullptr},
              {"incomplete_details", nullptr},
              {"model", head.model},
              {"output", Json::array()},
              {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
              {"service_tier", "default"},
              {"usage", nullptr}};
  out.update(echo);
  return out;
}

ResponseEnd response_end(StopReason reason) {
  if (reason == StopReason::max_tokens) return {"incomplete", {{"reason", "max_output_tokens"}}, nullptr};
  if (reason == StopReason::interrupted)
    return {"failed", nullptr, {{"code", "server_error"}, {"message", "the answer was stopped before its end"}}};
  return {"completed", nullptr, nullptr};
}

Json response_done(Json response, const ResponseEnd& end, Json output, const Usage& usage, const Json& about) {
  response["status"] = end.status;
  response["incomplete_details"] = end.incomplete_details;
  response["error"] = end.error;
  response["output"] = std::move(output);
  response["usage"] = responses_usage(usage);
  if (end.status == "completed") response["completed_at"] = static_cast<int64_t>(std::time(nullptr));
  response["ingrain"] = about;
  return response;
}

std::string ResponseEvents::event(const std::string& type, Json members) {
  Json out = {{"type", type}, {"sequence_number", sequence_++}};
  out.update(members);
  return sse(out, type);
}

std::string ResponseEvents::begin() {
  std::string out = event("response.created", {{"response", response_}});
  out += event("response.in_progress", {{"response", response_}});
  return out;
}

std::string ResponseEvents::open_text(const std::string& id) {
  ids_.push_back(id);
  const Json item = {{"id", ids_[0]},
                     {"type", "message"},
                     {"status", "in_progress"},
                     {"role", "assistant"},
                     {"content", Json::array()}};
  std::string out = event("response.output_item.added", {{"output_index", 0}, {"item", item}});
  out += event("response.content_part.added",
               {{"item_id", ids_[0]}, {"output_index", 0}, {"content_index", 0}, {"part", empty_part()}});
  return out;
}

std::string ResponseEvents::text(const std::string& delta, const Json& logprobs) {
  std::string out = ids_.empty() ? open_text(random_id("msg_")) : std::string();
  out += event("response.output_text.delta", {{"item_id", ids_[0]},
                                              {"output_index", 0},
                                              {"content_index", 0},
                                              {"delta", delta},
                                              {"logprobs", logprobs.is_null() ? Json::array() : logprobs}});
  return out;
}

std::string ResponseEvents::close_text(const Json& item) {
  const Json& part = item["content"][0];
  const Json place = {{"item_id", item["id"]}, {"output_index", 0}, {"content_index", 0}};
  Json text = place, whole = place;
  text["text"] = part["text"];
  text["logprobs"] = part["logprobs"];
  whole["part"] = part;
  std::string out = event("response.output_text.done", text);
  out += event("response.content_part.done", whole);
  out += event("response.output_item.done", {{"output_index", 0}, {"item", item}});
  return out;
}

std::string ResponseEvents::call(const Json& item, size_t index) {
  std::string out = event("response.output_item.added", {{"output_index", index}, {"item", without_text(item)}});
  out += event("response.function_call_arguments.delta",
               {{"item_id", item["id"]}, {"output_index", index}, {"delta", item["arguments"]}});
  out += event(
      "response.function_call_arguments.done",
      {{"item_id", item["id"]}, {"output_index", index}, {"name", item["name"]}, {"arguments", item["arguments"]}});
  out += event("response.output_item.done", {{"output_index", index}, {"item", item}});
  return out;
}

std::string ResponseEvents::end(const Json& response) {
  std::string out;
  const Json& output = response["output"];
  for (size_t i = 0; i < output.size(); ++i) {
    const Json& item = output[i];
    if (item["type"] == "function_call") {
      out += call(item, i);
      continue;
    }
    if (ids_.empty()) {  // it was held back, or is empty
      out += open_text(item["id"]);
      const Json& part = item["content"][0];
      if (part["text"] != "") out += text(part["text"], part["logprobs"]);
    }
    out += close_text(item);
  }
  out += event("response." + response["status"].get<std::string>(), {{"response", response}});
  return out;
}

std::string ResponseEvents::progress(const Json& progress) { return event("response.ingrain.progress", progress); }

std::string ResponseEvents::error(const ApiError& error) {
  Json members = openai_error(error)["error"];
  members.erase("type");
  return event("error", std::move(members));
}

}  // namespace ingrain::serve::api
