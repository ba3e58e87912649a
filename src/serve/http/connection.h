// One client's connection: requests in, a handler's replies out. Everything here but the counts belongs to the I/O
// thread.
#pragma once

#include "serve/http/server.h"
#include "serve/http/workers.h"

#include <atomic>
#include <set>

namespace boost::asio {
class io_context;
}

namespace ingrain::serve {

class Connection {
 public:
  virtual ~Connection() = default;
  /// No more requests: one that is only coming in is told so.
  virtual void finish() = 0;
  /// The client is gone, as far as the handler is concerned.
  virtual void cut() = 0;
};

/// What connections share; outlives them.
struct Hub {
  Hub(const HttpOptions& which, Handler called)
      : options(which), handler(std::move(called)), workers(static_cast<size_t>(options.max_connections)) {}

  const HttpOptions options;
  const Handler handler;
  std::set<std::shared_ptr<Connection>> open;
  std::atomic<int64_t> count = 0;           // of them, those that are served
  uint64_t body_bytes = 0, bytes_told = 0;  // of all
  bool stopping = false;
  Workers workers;  // ends first

  /// A body had `before` bytes and has `now`.
  void count_body(uint64_t before, uint64_t now);
};

/// Takes over `socket`, of address family `family`. `too_many`: all that the client gets is 503.
void open_connection(boost::asio::io_context& io, int socket, int family, std::string peer, Hub& hub, bool too_many);

}  // namespace ingrain::serve
