// Bytes of a connection into requests, one after the other: Beast's parser and our limits; no socket.
#pragma once

#include "serve/http/head.h"

namespace ingrain::serve {

class RequestReader {
 public:
  /// answered: no handler is to see it; answer() is the reply, after which the connection ends unless keep_alive().
  enum class State { head, body, whole, answered };

  explicit RequestReader(const HttpOptions& options);  // which must live as long
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Takes what it can from the front of `bytes`; how many. The rest is to be given again with more behind it (it stays
  /// below limits: put() refuses what doesn't end), or, once the request is whole, after next().
  size_t put(std::string_view bytes);
  State state() const;
  bool begun() const;  // whether anything of the request has come
  /// Whether the client waits for "100 Continue" before it sends the body.
  bool wants_continue() const;
  bool keep_alive() const;
  bool http_1_0() const;
  uint64_t body_bytes() const;

  const Request& request() const;
  Request& request();  // the body is there once it is whole
  const Headers& reply_headers() const;
  const OwnReply& answer() const;
  void refuse(OwnReply reply);
  void next();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ingrain::serve
