#include "serve/http/reply_head.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

#include <algorithm>
#include <ctime>

namespace ingrain::serve {

namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "";
  }
}

bool is_name(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

std::string one_line(std::string value) {
  std::ranges::replace_if(value, [](unsigned char c) { return (c < 32 && c != '\t') || c == 127; }, ' ');
  return value;
}

std::string date() {
  const auto now = static_cast<std::time_t>(unix_seconds());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                     kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

std::string reply_head_bytes(const ReplyHead& head) {
  Headers all = {{"Date", date()}, {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}};
  if (!head.request_id.empty()) all["X-Request-Id"] = head.request_id;
  if (!head.content_type.empty()) all["Content-Type"] = head.content_type;
  for (const auto& [name, value] : head.own) all[name] = value;
  for (const auto& [name, value] : head.more) {
    require(is_name(name), "'{}' is no name of a header", printable(name));
    all[name] = value;
  }
  all.erase("Content-Length");
  all.erase("Transfer-Encoding");
  if (head.framing == Framing::length) all["Content-Length"] = std::to_string(head.length);
  if (head.framing == Framing::chunked) all["Transfer-Encoding"] = "chunked";
  all["Connection"] = head.keep_alive ? "keep-alive" : "close";
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", head.status, reason(head.status));
  for (const auto& [name, value] : all) out += name + ": " + one_line(value) + "\r\n";
  return out + "\r\n";
}

}  // namespace ingrain::serve
