#include "serve/api/ask.h"
#include "serve/api/conversations_api.h"

namespace ingrain::serve::api {
namespace {

constexpr size_t kItemsAtOnce = 20;

}  // namespace

ConversationAsk read_conversation_request(std::string_view body) {
  const Json json = body.empty() ? Json::object() : parse_body(body);
  Fields fields(json);
  ConversationAsk out;
  out.metadata = read_metadata(fields);
  if (const Json* items = fields.array("items", kItemsAtOnce)) out.items = read_input(*items, "items", kItemsAtOnce);
  fields.refuse_unread();
  return out;
}

Json read_conversation_update(const Json& body) {
  Fields fields(body);
  fields.need("metadata");
  Json out = read_metadata(fields);
  fields.refuse_unread();
  return out;
}

Json read_conversation_items(const Json& body) {
  Fields fields(body);
  fields.need("items");
  const Json* items = fields.array("items", kItemsAtOnce);
  if (items->empty()) refuse("items", "'items' is empty");
  Json out = read_input(*items, "items", kItemsAtOnce);
  fields.refuse_unread();
  return out;
}

Json conversation_json(const std::string& id, int64_t created, const Json& metadata) {
  return {{"id", id}, {"object", "conversation"}, {"created_at", created}, {"metadata", metadata}};
}

}  // namespace ingrain::serve::api
