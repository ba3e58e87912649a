// /v1/conversations: what comes in and goes out.
#pragma once

#include "serve/api/items.h"

namespace ingrain::serve::api {

struct ConversationAsk {
  Json metadata = Json::object();
  Json items = Json::array();  // at most 20, checked
};
ConversationAsk read_conversation_request(std::string_view body);  // an empty body is an empty object
Json read_conversation_update(const Json& body);                   // metadata
Json read_conversation_items(const Json& body);                    // at most 20

Json conversation_json(const std::string& id, int64_t created, const Json& metadata);

}  // namespace ingrain::serve::api
