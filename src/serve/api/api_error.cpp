#include "serve/api/api_error.h"

#include "base/json.h"
#include "base/text.h"

namespace ingrain::serve::api {
namespace {

Json string_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

const char* anthropic_type(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 500: return "api_error";
    case 503: return "overloaded_error";
    default: return "invalid_request_error";
  }
}

}  // namespace

void refuse_unsupported(const std::string& param, const std::string& why) {
  throw ApiError(400, "invalid_request_error", "unsupported_parameter", printable(param),
                 fmt::format("'{}' is not supported{}{}", printable(param), why.empty() ? "" : ": ", why));
}

void refuse_missing(const std::string& param, const std::string& what) {
  throw ApiError(404, "invalid_request_error", "not_found", param, what + " is not there");
}

ApiError invalid_key() {
  return {401, "invalid_request_error", "invalid_api_key", "",
          "no valid API key: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'"};
}

ApiError model_not_found(const std::string& name) {
  return {404, "invalid_request_error", "model_not_found", "model",
          fmt::format("the model '{}' is not served here; GET /v1/models lists what is", printable(name))};
}

ApiError too_many_requests(const std::string& text, int retry_after) {
  ApiError out{429, "requests", "rate_limit_exceeded", "", text};
  out.retry_after = retry_after;
  return out;
}

ApiError unavailable(const std::string& text, int retry_after) {
  ApiError out{503, "server_error", "service_unavailable", "", text};
  out.retry_after = retry_after;
  return out;
}

ApiError internal_error() { return {500, "server_error", "internal_error", "", "the server failed; its log says why"}; }

Json openai_error(const ApiError& error) {
  return {{"error",
           {{"message", error.what()},
            {"type", error.type},
            {"param", string_or_null(error.param)},
            {"code", string_or_null(error.code)}}}};
}

Json anthropic_error(const ApiError& error, const std::string& request_id) {
  std::string message = error.what();
  if (!error.param.empty() && message.find(error.param) == message.npos) message = error.param + ": " + message;
  return {{"type", "error"},
          {"error", {{"type", anthropic_type(error.status)}, {"message", message}}},
          {"request_id", request_id}};
}

std::string dump(const Json& json) { return dump_exactly(json); }

}  // namespace ingrain::serve::api
