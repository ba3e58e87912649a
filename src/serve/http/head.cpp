#include "serve/http/head.h"

#include "base/text.h"
#include "base/utf8.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace ingrain::serve {

namespace {

constexpr size_t kMaxFields = 100;
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

bool same(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, ascii_lower, ascii_lower); }

OwnReply bad(std::string code, std::string message) { return {400, std::move(code), std::move(message), {}}; }

/// Percent-decoded; nothing if that is not text: a broken escape, a control byte, no UTF-8.
std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out += c;
  }
  const bool control = std::ranges::any_of(out, [](unsigned char c) { return c < 32 || c == 127; });
  if (control || !is_utf8(out)) return std::nullopt;
  return out;
}

bool climbs(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

bool read_query(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = decoded(pair.substr(0, equals), true);
    const auto value = decoded(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) return false;
    const auto [at, is_new] = query.try_emplace(*name, *value);
    if (!is_new) at->second += "," + *value;
  }
  return true;
}

/// "name:8080" without its port, in small letters, without the dot at the end; "" if it is no host.
std::string host_name(std::string_view host) {
  std::string_view name = host, port;
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == host.npos) return "";
    name = host.substr(0, close + 1);
    port = host.substr(close + 1);
  } else if (const size_t colon = host.find(':'); colon != host.npos) {
    name = host.substr(0, colon);
    port = host.substr(colon);
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!port.empty() && (port.front() != ':' || port.size() > 6 || !std::ranges::all_of(port.substr(1), digit)))
    return "";
  if (name.ends_with('.')) name.remove_suffix(1);
  return name.size() > 255 ? "" : in_ascii_lower(name);
}

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes;
  if (name.starts_with('[')) {
    return ::inet_pton(AF_INET6, name.substr(1, name.size() - 2).c_str(), bytes.data()) == 1;
  }
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1;
}

bool is_token_list(std::string_view text) {
  return text.size() <= 1024 && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == ',' || c == ' ';
         });
}

/// What a page of `origin` may see of the reply; for a preflight, what it may send.
void add_cors(const std::string& origin, const Request& request, const HttpOptions& options, Headers& reply) {
  const bool any = std::ranges::find(options.origins, "*") != options.origins.end();
  reply["Access-Control-Allow-Origin"] = any ? "*" : origin;
  if (!any) reply["Vary"] = "Origin";
  if (request.method != "OPTIONS") {
    reply["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After";
    return;
  }
  reply["Access-Control-Allow-Methods"] = kMethods;
  reply["Access-Control-Max-Age"] = "600";
  const auto asked = request.headers.find("Access-Control-Request-Headers");
  reply["Access-Control-Allow-Headers"] =
      asked != request.headers.end() && is_token_list(asked->second) ? asked->second : "Authorization, Content-Type";
  if (request.headers.contains("Access-Control-Request-Private-Network")) {
    reply["Access-Control-Allow-Private-Network"] = "true";
  }
}

std::optional<OwnReply> check_fields(const Head& head, Headers& headers) {
  if (head.fields.size() > kMaxFields) {
    return OwnReply{431, "too_many_headers", "the request has more than 100 headers", {}};
  }
  int hosts = 0, encodings = 0;
  for (const auto& [name, value] : head.fields) {
    hosts += same(name, "Host");
    encodings += same(name, "Transfer-Encoding");
    const auto [at, is_new] = headers.try_emplace(name, value);
    if (!is_new) at->second += ", " + value;
  }
  if (hosts > 1) return bad("invalid_host", "the request has more than one Host header");
  if (encodings == 0) return std::nullopt;
  // Where two programs on the way could disagree where a body ends, nothing is guessed.
  if (head.http_1_0 || encodings > 1 || headers.contains("Content-Length") ||
      !same(headers["Transfer-Encoding"], "chunked")) {
    return bad("invalid_transfer_encoding",
               "Transfer-Encoding may only be 'chunked', in HTTP/1.1, without Content-Length");
  }
  return std::nullopt;
}

std::optional<OwnReply> check_expectation(const Head& head, const Headers& headers) {
  const auto expect = headers.find("Expect");
  if (head.http_1_0 || expect == headers.end() || same(expect->second, "100-continue")) return std::nullopt;
  return OwnReply{417, "expectation_failed", "of Expect only '100-continue' is known", {}};
}

std::optional<OwnReply> check_host(const std::string& host, bool http_1_0, const HttpOptions& options) {
  if (host.empty()) {
    // No browser speaks HTTP/1.0, so none can be led here by it.
    if (http_1_0) return std::nullopt;
    return bad("missing_host", "HTTP/1.1 needs a Host header");
  }
  if (host_allowed(host, options)) return std::nullopt;
  return OwnReply{403,
                  "invalid_host",
                  "Host is '" + printable(host) +
                      "', which is not a name of this server; if it is, start the server with --allow-host",
                  {}};
}

}  // namespace

bool NoCase::operator()(const std::string& a, const std::string& b) const {
  return std::ranges::lexicographical_compare(a, b, {}, ascii_lower, ascii_lower);
}

std::string error_json(const OwnReply& reply) {
  std::string message;
  for (const char c : printable(reply.message, 1000)) {
    if (c == '"' || c == '\\') message += '\\';
    message += c;
  }
  const std::string_view type = reply.status < 500 ? "invalid_request_error" : "server_error";
  return R"({"error":{"message":")" + message + R"(","type":")" + std::string(type) + R"(","param":null,"code":")" +
         reply.code + R"("}})";
}

OwnReply too_busy(std::string message) {
  return {503, "server_overloaded", std::move(message), {{"Retry-After", "1"}}};
}

std::optional<OwnReply> read_target(std::string_view target, Request& request, std::string& authority) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!same(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    authority = target.substr(0, target.find_first_of("/?"));
    target.remove_prefix(authority.size());
    if (target.empty()) target = "/";
    if (authority.empty()) return bad("invalid_target", "the target names no host");
    break;
  }
  if (!target.starts_with('/') || target.find('#') != target.npos) {
    return bad("invalid_target", "the target must be a path like '/v1/models'");
  }
  const size_t question = std::min(target.find('?'), target.size());
  auto path = decoded(target.substr(0, question), false);
  if (!path || climbs(*path)) {
    return bad("invalid_target", "the path has broken escapes, control characters, invalid UTF-8 or '..'");
  }
  request.path = std::move(*path);
  if (question < target.size() && !read_query(target.substr(question + 1), request.query)) {
    return bad("invalid_target", "the query has broken escapes, control characters or invalid UTF-8");
  }
  return std::nullopt;
}

bool host_allowed(std::string_view host, const HttpOptions& options) {
  const std::string name = host_name(host);
  if (name.empty()) return false;
  if (name == "localhost" || is_address(name) || name == host_name(options.address)) return true;
  return std::ranges::any_of(options.hosts,
                             [&](const std::string& allowed) { return allowed == "*" || name == host_name(allowed); });
}

bool origin_allowed(std::string_view origin, std::string_view host, const HttpOptions& options) {
  const size_t scheme = origin.find("://");
  if (scheme != origin.npos && !host.empty() && same(origin.substr(scheme + 3), host)) return true;
  return std::ranges::any_of(options.origins, [&](std::string_view allowed) {
    if (allowed.ends_with('/')) allowed.remove_suffix(1);
    return allowed == "*" || same(allowed, origin);
  });
}

CheckedHead check_head(const Head& head, const HttpOptions& options) {
  CheckedHead out;
  Request& request = out.request;
  request.method = head.method;
  if (head.target.size() > options.max_target) {
    out.answer = OwnReply{
        414, "target_too_long", "the target is longer than " + std::to_string(options.max_target) + " bytes", {}};
    return out;
  }
  std::string authority;
  const bool of_server = head.method == "OPTIONS" && head.target == "*";
  if (of_server) {
    request.path = "*";
  } else {
    out.answer = read_target(head.target, request, authority);
  }
  if (!out.answer) out.answer = check_fields(head, request.headers);
  if (out.answer) return out;
  std::string host;
  if (const auto said = request.headers.find("Host"); said != request.headers.end()) {
    if (!authority.empty()) said->second = authority;
    host = said->second;
  }
  out.answer = check_host(host, head.http_1_0, options);
  if (!out.answer) out.answer = check_expectation(head, request.headers);
  constexpr std::array<std::string_view, 7> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  if (!out.answer && std::ranges::find(methods, head.method) == methods.end()) {
    out.answer = OwnReply{405,
                          "method_not_allowed",
                          "the method is none of " + std::string(kMethods),
                          {{"Allow", std::string(kMethods)}}};
  }
  if (out.answer) return out;

  const auto origin = request.headers.find("Origin");
  if (origin != request.headers.end()) {
    if (!origin_allowed(origin->second, host, options)) {
      out.answer = OwnReply{403,
                            "invalid_origin",
                            "pages of '" + printable(origin->second) +
                                "' may not call this server; if they should, start it with --allow-origin",
                            {}};
      return out;
    }
    add_cors(origin->second, request, options, out.reply_headers);
  }
  const bool preflight = request.headers.contains("Access-Control-Request-Method");
  if (head.method == "OPTIONS" && (of_server || preflight))
    out.answer = OwnReply{204, "", "", {{"Allow", std::string(kMethods)}}};
  return out;
}

}  // namespace ingrain::serve
