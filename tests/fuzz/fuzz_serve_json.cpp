// Requests from hostile hands: the first byte says which endpoint's parser reads the rest. What is refused is refused
// by an ApiError; what is taken has messages that a template can be given. And the bytes are the same JSON, or none,
// whether their texts are cut out first or not.
#include "base/json_texts.h"
#include "serve/api/chat_request.h"
#include "serve/api/completion_request.h"
#include "serve/api/conversations_api.h"
#include "serve/api/keys.h"
#include "serve/api/memories_api.h"
#include "serve/api/messages_api.h"
#include "serve/api/responses_request.h"

#include <cstdlib>

namespace {

using namespace ingrain::serve;
using namespace ingrain::serve::api;

Request form_of(std::string_view body) {
  Request out;
  out.headers["Content-Type"] = "multipart/form-data; boundary=B";
  out.body = body;
  return out;
}

Request json_of(std::string_view body) {
  Request out;
  out.headers["Content-Type"] = "application/json";
  out.body = body;
  return out;
}

void need_messages(const Json& messages) {
  for (const Json& message : messages)
    if (!message.is_object() || !message.at("role").is_string() || !message.at("content").is_string()) std::abort();
}

void cut_texts(std::string_view body) {
  auto cut = ingrain::cut_long_texts(body, 0);
  if (!cut) return;
  const Json whole = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  Json in_parts = Json::parse(cut->json, nullptr, /*allow_exceptions=*/false);
  if (!in_parts.is_discarded()) ingrain::put_back(in_parts, *cut);
  if (in_parts.is_discarded() != whole.is_discarded() || (!whole.is_discarded() && in_parts != whole)) std::abort();
}

void read_one(unsigned char endpoint, std::string_view body) {
  const AskLimits limits;
  switch (endpoint % 10) {
    case 0: return need_messages(read_chat_request(parse_body(body), limits).prompt.messages);
    case 1: read_completion_request(parse_body(body), limits); return;
    case 2: return need_messages(messages_of(read_responses_request(parse_body(body), limits).input));
    case 3: return need_messages(read_messages_request(parse_body(body), limits, false).prompt.messages);
    case 4: read_memory_request(form_of(body)); return;
    case 5: read_memory_request(json_of(body)); return;
    case 6: read_conversation_request(body); return;
    case 7: read_tokenize_request(parse_body(body)); return;
    case 8: read_detokenize_request(parse_body(body)); return;
    default: ApiKeys::key_of({{"Authorization", std::string(body)}}); return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  if (body.find('\0') == body.npos) cut_texts(body);  // the parser takes a zero byte for the end
  try {
    read_one(data[0], body);
  } catch (const ApiError& e) {
    if (e.status < 400 || e.status > 499) std::abort();
    dump(openai_error(e));
  }
  return 0;
}
