// POST /v1/chat/completions, as it comes in.
#pragma once

#include "serve/api/ask.h"

namespace ingrain::serve::api {

/// 400 with the field's path for what is missing, of another type, out of range or not supported.
Ask read_chat_request(const Json& body, const AskLimits& limits);

/// A list of messages in chat's shape, checked, as templates take it: content is one text, "developer" is "system".
Json read_chat_messages(const Json& messages);

}  // namespace ingrain::serve::api
