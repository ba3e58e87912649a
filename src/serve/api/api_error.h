// What is refused, as the APIs' clients expect to be told.
#pragma once

#include "base/error.h"

#include <nlohmann/json.hpp>

#include <string>

namespace ingrain::serve::api {

using Json = nlohmann::ordered_json;

/// A refusal with its HTTP status; code and param are null in JSON where empty.
class ApiError : public Error {
 public:
  ApiError(int http_status, std::string error_type, std::string error_code, std::string parameter,
           const std::string& text)
      : Error(text),
        status(http_status),
        type(std::move(error_type)),
        code(std::move(error_code)),
        param(std::move(parameter)) {}

  int status;
  std::string type, code, param;
  int retry_after = 0;  // seconds; 0: not said
  std::string allow;    // 405: the methods that there are
};

/// 400, naming the field.
template <class... Args>
[[noreturn]] void refuse(const std::string& param, fmt::format_string<Args...> format, Args&&... args) {
  throw ApiError(400, "invalid_request_error", "", param, fmt::format(format, std::forward<Args>(args)...));
}
/// 400 with code "unsupported_parameter": the field is known to somebody, and not served here.
[[noreturn]] void refuse_unsupported(const std::string& param, const std::string& why = {});
/// 404. `what`: "response 'resp_x'".
[[noreturn]] void refuse_missing(const std::string& param, const std::string& what);

ApiError invalid_key();
ApiError model_not_found(const std::string& name);
ApiError too_many_requests(const std::string& text, int retry_after);  // 429
ApiError unavailable(const std::string& text, int retry_after);        // 503
ApiError internal_error();                                             // 500; why is in the log alone

/// {"error": {"message", "type", "param", "code"}}.
Json openai_error(const ApiError& error);
/// {"type": "error", "error": {"type", "message"}, "request_id"}.
Json anthropic_error(const ApiError& error, const std::string& request_id);

/// JSON on one line; what is no UTF-8 becomes U+FFFD.
std::string dump(const Json& json);

}  // namespace ingrain::serve::api
