#include "serve/http/exchange.h"

#include "base/error.h"
#include "serve/http/head.h"

namespace ingrain::serve {

std::string BlockingExchange::run(const Handler& handler) {
  std::string failure;
  try {
    handler(*this);
    if (status_ == 0) failure = "the handler returned without a reply";
    if (streams_ && !ended_ && !gone()) failure = "the handler returned amid its reply";
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "the handler threw what is no exception";
  }
  if (!failure.empty() && status_ == 0) {
    const OwnReply own{500, "internal_error", "the server failed at this request; its log says why", {}};
    reply(own.status, "application/json", error_json(own), {});
  }
  return failure;
}

void BlockingExchange::reply(int status, std::string_view content_type, std::string body, const Headers& more) {
  framing_ = status == 204 || status == 304 ? Framing::none : Framing::length;
  const std::string first = head(status, content_type, body.size(), more);
  ended_ = port_.deliver({first, has_body() ? body : std::string_view(), {}});
}

void BlockingExchange::begin(int status, std::string_view content_type, const Headers& more) {
  framing_ = port_.http_1_0() ? Framing::close : Framing::chunked;
  const std::string first = head(status, content_type, 0, more);
  streams_ = true;
  port_.deliver({first, {}, {}});
}

bool BlockingExchange::write(std::string_view bytes) {
  require(streams_ && !ended_, "a part of a reply outside of begin() and end()");
  if (gone()) return false;
  if (bytes.empty() || !has_body()) return true;
  if (framing_ == Framing::close) return port_.deliver({bytes, {}, {}});
  const std::string size = fmt::format("{:x}\r\n", bytes.size());
  return port_.deliver({size, bytes, "\r\n"});
}

void BlockingExchange::end() {
  require(streams_ && !ended_, "the end of a reply that did not begin");
  ended_ = !has_body() || framing_ == Framing::close || port_.deliver({"0\r\n\r\n", {}, {}});
}

bool BlockingExchange::has_body() const { return framing_ != Framing::none && request().method != "HEAD"; }

std::string BlockingExchange::head(int status, std::string_view content_type, uint64_t length, const Headers& more) {
  require(status_ == 0, "a request was replied to twice");
  require(status >= 200 && status <= 599, "a reply's status is {}; it must be 200 to 599", status);
  keep_alive_ = port_.keep_alive() && framing_ != Framing::close;
  ReplyHead out{status, content_type, framing_, length, keep_alive_, request().id, port_.reply_headers(), more};
  // Proxies that collect a reply before they pass it on would hold back a stream.
  if (framing_ == Framing::chunked || framing_ == Framing::close) out.own["X-Accel-Buffering"] = "no";
  std::string bytes = reply_head_bytes(out);
  status_ = status;
  return bytes;
}

}  // namespace ingrain::serve
