// A handler's side of a connection: its replies as bytes, each delivered before the call returns.
#pragma once

#include "serve/http/reply_head.h"

#include <array>
#include <atomic>

namespace ingrain::serve {

/// What an exchange needs of its connection while the handler runs.
class ReplyPort {
 public:
  using Pieces = std::array<std::string_view, 3>;

  virtual const Request& request() const = 0;
  virtual bool gone() const = 0;
  virtual bool keep_alive() const = 0;
  virtual bool http_1_0() const = 0;
  virtual const Headers& reply_headers() const = 0;
  /// Waits until the bytes are the system's; false: the client is gone.
  virtual bool deliver(const Pieces& pieces) = 0;

 protected:
  ~ReplyPort() = default;
};

class BlockingExchange final : public Exchange {
 public:
  explicit BlockingExchange(ReplyPort& port) : port_(port) {}

  /// Calls the handler. What went wrong in it, "" if nothing did; the client has its 500 then, if that was possible.
  std::string run(const Handler& handler);
  bool ended() const { return ended_; }            // whether the reply is whole
  bool keep_alive() const { return keep_alive_; }  // what its head said

  const Request& request() const override { return port_.request(); }
  bool gone() const override { return port_.gone(); }
  int status() const override { return status_; }
  void reply(int status, std::string_view content_type, std::string body, const Headers& more) override;
  void begin(int status, std::string_view content_type, const Headers& more) override;
  bool write(std::string_view bytes) override;
  void end() override;

 private:
  bool has_body() const;
  std::string head(int status, std::string_view content_type, uint64_t length, const Headers& more);

  ReplyPort& port_;
  std::atomic<int> status_ = 0;
  Framing framing_ = Framing::none;
  bool keep_alive_ = false, streams_ = false, ended_ = false;
};

}  // namespace ingrain::serve
