// POST /v1/responses, as it comes in.
#pragma once

#include "serve/api/ask.h"

namespace ingrain::serve::api {

struct ResponsesAsk {
  Ask ask;     // prompt.messages is what the items mean once all that came before is known: left empty here
  Json input;  // items, checked
  std::string instructions, previous_response_id, conversation;
  std::string thread;  // ours: a conversation whose tree the response belongs to, without going on with its items
  bool store = true;
  Json echo;  // the request's fields that the response repeats, as the response has them
};

ResponsesAsk read_responses_request(const Json& body, const AskLimits& limits);

}  // namespace ingrain::serve::api
