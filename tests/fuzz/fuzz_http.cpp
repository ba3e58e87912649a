// Any bytes, however they are cut, are refused, wait for more, or are a request within its limits; and they mean the
// same whichever way they were cut.
#include "serve/http/head.h"
#include "serve/http/reply_head.h"
#include "serve/http/request_reader.h"

#include "base/utf8.h"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <string>

namespace {

using namespace ingrain::serve;
using State = RequestReader::State;

void check(bool holds) {
  if (!holds) std::abort();
}

HttpOptions small_limits() {
  HttpOptions options;
  options.max_body = 300;
  options.max_header = 400;
  options.max_target = 200;
  options.hosts = {"ingrain.example.com"};
  options.origins = {"https://a.com"};
  return options;
}

void check_request(const RequestReader& reader, const HttpOptions& options) {
  const Request& request = reader.request();
  check(request.body.size() <= options.max_body);
  check(request.path.starts_with('/') && request.path.find('\0') == std::string::npos);
  check(("/" + request.path + "/").find("/../") == std::string::npos);
  check(ingrain::is_utf8(request.path));
  // HTTP/1.0 may leave it empty.
  if (const auto host = request.headers.find("Host"); host != request.headers.end() && !host->second.empty()) {
    check(host_allowed(host->second, options));
  }
  for (const auto& [name, value] : request.headers) {
    check(value.find('\n') == std::string::npos && value.find('\r') == std::string::npos && !name.empty());
  }
}

/// The reply that this layer would give is one, whatever it quotes.
void check_answer(RequestReader& reader) {
  const OwnReply& answer = reader.answer();
  if (!answer.message.empty()) check(nlohmann::json::parse(error_json(answer))["error"]["code"] == answer.code);
  const std::string head = reply_head_bytes(
      {answer.status, "", Framing::none, 0, reader.keep_alive(), "", reader.reply_headers(), answer.more});
  check(head.find("\r\n\r\n") == head.size() - 4);
}

/// All that comes of the bytes, in words.
std::string meaning(std::string_view bytes, const HttpOptions& options, size_t at_once) {
  RequestReader reader(options);
  std::string buffer, out;
  for (size_t begin = 0; begin < bytes.size(); begin += at_once) {
    buffer += bytes.substr(begin, at_once);
    while (true) {
      buffer.erase(0, reader.put(buffer));
      if (reader.state() == State::answered) {
        check_answer(reader);
        if (!reader.keep_alive()) return out + std::to_string(reader.answer().status);
      } else if (reader.state() == State::whole) {
        check_request(reader, options);
        out += reader.request().method + reader.request().path + ";" + reader.request().body + ";";
        if (!reader.keep_alive()) return out + "close";
      } else {
        // What waits for more must end: the connection keeps it.
        check(buffer.size() <= options.max_header + options.max_target + 64 + at_once);
        break;
      }
      reader.next();
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static const HttpOptions options = small_limits();
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = meaning(bytes, options, bytes.size() + 1);
  const std::string cut = meaning(bytes, options, size_t{1} + data[0] % 64);
  // A limit may be met sooner or later, and then under another name; what was served before it is the same.
  const auto served = [](const std::string& text) { return text.substr(0, text.rfind(';') + 1); };
  const std::string a = served(whole), b = served(cut);
  check(a.starts_with(b) || b.starts_with(a));
  return 0;
}
