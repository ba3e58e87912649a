// The head of a reply, as bytes.
#pragma once

#include "serve/http/server.h"

namespace ingrain::serve {

/// How a client knows where a body ends.
enum class Framing { none, length, chunked, close };

struct ReplyHead {
  int status = 200;
  std::string_view content_type;  // "": none
  Framing framing = Framing::none;
  uint64_t length = 0;
  bool keep_alive = false;
  std::string request_id;  // "": none
  Headers own, more;       // `more` wins
};

/// Status line, headers, empty line. What would break a line in a value becomes a space; headers that frame the message
/// are not taken from `more`. Error: a name in `more` that is none.
std::string reply_head_bytes(const ReplyHead& head);

}  // namespace ingrain::serve
