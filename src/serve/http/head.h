// What the head of a request says, and whether it may: no socket, no parser.
#pragma once

#include "serve/http/server.h"

#include <optional>
#include <utility>

namespace ingrain::serve {

/// A reply that this layer gives by itself; without a message it has no body.
struct OwnReply {
  int status = 400;
  std::string code;     // "invalid_host"
  std::string message;  // what is wrong, and the remedy
  Headers more = {};
  std::string body = {};  // JSON in place of error_json()
};
/// {"error":{"message","type","param":null,"code"}}, as OpenAI's clients read it.
std::string error_json(const OwnReply& reply);
/// 503 with Retry-After.
OwnReply too_busy(std::string message);

/// As the parser has split it: names and values in their order.
struct Head {
  std::string method, target;
  bool http_1_0 = false;
  std::vector<std::pair<std::string, std::string>> fields;
};

/// "/v1/models?limit=2", or the same after "http://host", into path and query; `authority` is that host. What is wrong
/// with it, if anything.
std::optional<OwnReply> read_target(std::string_view target, Request& request, std::string& authority);
/// "name", "name:port", "[::1]:port".
bool host_allowed(std::string_view host, const HttpOptions& options);
/// `host`: what Host said, so that a page may call the server that it came from.
bool origin_allowed(std::string_view origin, std::string_view host, const HttpOptions& options);

/// A head looked through: the request but its body, the headers that its reply gets, and, where no handler is to see
/// it, that reply (a refusal, or what CORS and OPTIONS ask).
struct CheckedHead {
  Request request;
  Headers reply_headers;
  std::optional<OwnReply> answer;
};
CheckedHead check_head(const Head& head, const HttpOptions& options);

}  // namespace ingrain::serve
