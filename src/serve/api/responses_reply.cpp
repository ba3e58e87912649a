#include "serve/api/responses_reply.h"

#include "base/clock.h"
#include "serve/store/ids.h"

namespace ingrain::serve::api {
namespace {

using Kind = AnswerPart::Kind;

Json part_of(Kind kind, const std::string& text) {
  if (kind == Kind::thought) return {{"type", "reasoning_text"}, {"text", text}};
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

/// The item as it is told first, with nothing said yet.
Json new_item(Kind kind, const std::string& id, const SaidPiece& piece) {
  if (kind == Kind::thought)
    return {{"id", id},
            {"type", "reasoning"},
            {"status", "in_progress"},
            {"summary", Json::array()},
            {"content", Json::array()}};
  if (kind == Kind::text)
    return {
        {"id", id}, {"type", "message"}, {"status", "in_progress"}, {"role", "assistant"}, {"content", Json::array()}};
  return {{"id", id},           {"type", "function_call"}, {"status", "in_progress"}, {"call_id", piece.id},
          {"name", piece.text}, {"arguments", ""}};
}

Kind kind_of(const Json& item) {
  const std::string type = item["type"];
  return type == "reasoning" ? Kind::thought : type == "message" ? Kind::text : Kind::call;
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
  if (end.status == "completed") response["completed_at"] = unix_seconds();
  response["ingrain"] = about;
  return response;
}

std::string ResponseEvents::event(const std::string& type, const Json& members) {
  Json out = {{"type", type}, {"sequence_number", sequence_++}};
  out.update(members);
  return sse(out, type);
}

std::string ResponseEvents::begin() {
  std::string out = event("response.created", {{"response", response_}});
  out += event("response.in_progress", {{"response", response_}});
  return out;
}

ResponseEvents::Item* ResponseEvents::find(Kind kind, size_t call) {
  for (Item& item : items_)
    if (item.kind == kind && (kind != Kind::call || item.call == call)) return &item;
  return nullptr;
}

std::vector<std::string> ResponseEvents::ids() const {
  std::vector<std::string> out;
  for (const Item& item : items_) out.push_back(item.id);
  return out;
}

Json ResponseEvents::place_of(const Item& item) const {
  Json out = {{"item_id", item.id}, {"output_index", &item - items_.data()}};
  if (item.kind != Kind::call) out["content_index"] = 0;
  return out;
}

std::string ResponseEvents::open_item(Kind kind, const std::string& id, const SaidPiece& piece) {
  items_.push_back({id, kind, piece.call});
  const Json place = place_of(items_.back());
  Json whole = new_item(kind, id, piece);
  std::string out = event("response.output_item.added", {{"output_index", place["output_index"]}, {"item", whole}});
  items_.back().whole = std::move(whole);
  if (kind == Kind::call) return out;
  Json part = place;
  part["part"] = part_of(kind, "");
  return out + event("response.content_part.added", part);
}

std::string ResponseEvents::close_thoughts() {
  Item* item = find(Kind::thought, 0);
  if (item == nullptr || !item->open) return {};
  Json whole = item->whole;
  whole["status"] = "completed";
  whole["content"].push_back(part_of(Kind::thought, item->text));
  return close_item(*item, whole);
}

std::string ResponseEvents::piece(const SaidPiece& piece, const Json& logprobs) {
  const bool of_call = piece.kind != Kind::text && piece.kind != Kind::thought;
  const Kind kind = of_call ? Kind::call : piece.kind;
  std::string out = kind == Kind::thought ? std::string() : close_thoughts();
  if (find(kind, piece.call) == nullptr)
    out += open_item(kind, random_id(of_call ? "fc_" : kind == Kind::text ? "msg_" : "rs_"), piece);
  Item& item = *find(kind, piece.call);
  Json delta = place_of(item);
  delta["delta"] = piece.text;
  switch (piece.kind) {
    case Kind::thought: item.text += piece.text; return out + event("response.reasoning_text.delta", delta);
    case Kind::text:
      delta["logprobs"] = logprobs.is_null() ? Json::array() : logprobs;
      return out + event("response.output_text.delta", delta);
    case Kind::call: return out;
    case Kind::arguments: item.text += piece.text; return out + event("response.function_call_arguments.delta", delta);
    case Kind::call_end: {
      Json whole = item.whole;
      whole["status"] = "completed";
      whole["arguments"] = item.text;
      return out + close_item(item, whole);
    }
  }
  return out;
}

std::string ResponseEvents::close_item(Item& item, const Json& whole) {
  item.open = false;
  const Json place = place_of(item);
  Json done = place, part = place;
  std::string out;
  if (item.kind == Kind::call) {
    done["name"] = whole["name"];
    done["arguments"] = whole["arguments"];
    out += event("response.function_call_arguments.done", done);
  } else {
    part["part"] = whole["content"][0];
    done["text"] = part["part"]["text"];
    if (item.kind == Kind::text) done["logprobs"] = part["part"]["logprobs"];
    out += event(item.kind == Kind::text ? "response.output_text.done" : "response.reasoning_text.done", done);
    out += event("response.content_part.done", part);
  }
  return out + event("response.output_item.done", {{"output_index", place["output_index"]}, {"item", whole}});
}

std::string ResponseEvents::end(const Json& response) {
  std::string out;
  const Json& output = response["output"];
  for (size_t i = 0; i < output.size(); ++i) {
    const Json& item = output[i];
    if (i >= items_.size()) {  // nothing was told of it: an answer of no text
      SaidPiece none{.kind = kind_of(item), .text = item.value("name", ""), .id = item.value("call_id", "")};
      out += open_item(none.kind, item["id"], none);
    }
    if (items_[i].open) out += close_item(items_[i], item);
  }
  out += event("response." + response["status"].get<std::string>(), {{"response", response}});
  return out;
}

std::string ResponseEvents::progress(const Json& progress) { return event("response.ingrain.progress", progress); }

std::string ResponseEvents::error(const ApiError& error) {
  Json members = openai_error(error)["error"];
  members.erase("type");
  return event("error", members);
}

}  // namespace ingrain::serve::api
