// HTTP/1.1 for one server: bounded requests in, whole or streamed replies out. Knows no model and no JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve {

struct NoCase {
  bool operator()(const std::string& a, const std::string& b) const;
};
using Headers = std::map<std::string, std::string, NoCase>;

struct Request {
  std::string method;                        // "GET"
  std::string path;                          // decoded, without the query: "/v1/models"; no "..", no NUL; valid UTF-8
  std::map<std::string, std::string> query;  // as above; a name given twice is joined by ","
  Headers headers;                           // a header given twice is joined by ", "
  std::string body;
  std::string peer;  // address of the client
  std::string id;    // of this request, for logs and X-Request-Id
};

/// A reply of an application's own, as JSON, to a request that it does not want to handle.
struct Refusal {
  int status = 400;
  std::string body, why;  // why: for logs
  Headers headers;
};

/// A request and its reply. A handler has it on a thread of its own and may block; gone() may be asked by any thread.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;

  /// The whole reply. Once, and not after begin().
  /// `more` goes to the client with X-Request-Id, Date, X-Content-Type-Options, Cache-Control (no-store, if `more` has
  /// none) and what CORS asks for; of the headers that frame a message it may hold none. Error: reply given twice.
  virtual void reply(int status, std::string_view content_type, std::string body, const Headers& more = {}) = 0;
  /// The head of a reply that comes in parts (chunked).
  virtual void begin(int status, std::string_view content_type, const Headers& more = {}) = 0;
  /// A part of it, sent at once. Waits while the client takes nothing, up to the limit for slow clients. False once the
  /// client is gone: what is written then goes nowhere.
  virtual bool write(std::string_view bytes) = 0;
  virtual void end() = 0;

  virtual bool gone() const = 0;   // the client has closed (its sending side is enough), or was too slow; or stop()
  virtual int status() const = 0;  // what was replied; 0: nothing yet
};

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 8080;  // 0: any that is free
  /// Names that Host may say besides the address and localhost; "*": any. An IP address may always be said: what DNS
  /// rebinding needs is a name.
  std::vector<std::string> hosts = {};
  /// Origins ("https://chat.example.com") of other sites' pages that may call; empty: none; "*": any. Browsers say
  /// Origin, and one that is neither listed nor this server's own is refused, whether or not CORS would ask first.
  std::vector<std::string> origins = {};
  uint64_t max_body = uint64_t{64} << 20;
  uint64_t max_bodies = uint64_t{512} << 20;  // of all requests in work together; more are told 503
  uint32_t max_header = 16 << 10;
  uint32_t max_target = 8 << 10;
  int max_connections = 512;   // more are told 503 with Retry-After
  double header_seconds = 10;  // a request's head must be there by then
  double body_seconds = 60;    // without a byte of the body, or, beyond them, below 1 KiB a second
  double idle_seconds = 75;    // between two requests of a connection
  double write_seconds = 30;   // a client that takes nothing for so long is gone
  /// Asked once a request's head is there, before its body is read: who may not ask is told so at once. Called on the
  /// I/O thread; must neither block nor throw.
  std::function<std::optional<Refusal>(const Request& head)> on_head = {};
  /// Told the bytes of all bodies in work when they have grown or shrunk by a MiB, or to none. As on_head.
  std::function<void(uint64_t bytes)> on_bodies = {};
  /// What was answered here, without a handler (a limit, a bad head) or for one (it threw): for logs and metrics.
  /// Called on any thread; must neither block nor throw. Of the request, as much is there as was understood.
  std::function<void(const Request& request, int status, const std::string& why)> on_refusal = {};
};

/// Called for each request, each on a thread of its own. What it throws becomes a 500 that doesn't tell why (on_refusal
/// does); a handler that returns without a reply, too. A reply in parts that isn't ended is cut, so that the client
/// knows.
using Handler = std::function<void(Exchange&)>;

/// Listens from construction (Error: the address cannot be bound, naming it and the remedy) until stop().
class HttpServer {
 public:
  HttpServer(const HttpOptions& options, Handler handler);
  ~HttpServer();  // stop(0)
  uint16_t port() const;

  /// Takes no more requests; those in work have so many seconds to end, then their clients are gone() and they are
  /// waited for. Idempotent, from any thread but a handler's.
  void stop(double grace_seconds);
  int64_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingrain::serve
