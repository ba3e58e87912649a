#include "serve/http/request_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>

namespace ingrain::serve {

namespace http = boost::beast::http;

namespace {

using Parser = http::request_parser<http::string_body>;

constexpr uint32_t kAroundTarget = 64;  // a method, a version and blanks

std::string to_string(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct RequestReader::Parts {
  explicit Parts(const HttpOptions& which) : options(which) {}

  const HttpOptions& options;
  State state = State::head;
  std::optional<Parser> parser;
  bool begun = false;
  uint64_t head_bytes = 0, line_bytes = 0;  // line: the first; 0: its end is not there
  CheckedHead head;

  void next() {
    parser.emplace();
    // Beast asks what lies before it at once; the whole head is counted in put().
    parser->header_limit(options.max_header + options.max_target + kAroundTarget);
    parser->body_limit(options.max_body);
    state = State::head;
    begun = false;
    head_bytes = line_bytes = 0;
    head = {};
  }

  void refuse(OwnReply reply) {
    head.answer = std::move(reply);
    state = State::answered;
  }

  /// `rest`: a head from its beginning, as far as it is there. Whether its first line may go on.
  bool line_fits(std::string_view rest) {
    const size_t end = rest.find("\r\n");
    if (end != rest.npos) line_bytes = end + 2;
    const size_t line = end != rest.npos ? end : rest.size() - rest.ends_with('\r');
    if (line <= uint64_t{options.max_target} + kAroundTarget) return true;
    refuse({414, "target_too_long", "the request's first line is too long", {}});
    return false;
  }

  void refuse_head_size() {
    refuse(
        {431, "headers_too_large", "the headers are larger than " + std::to_string(options.max_header) + " bytes", {}});
  }

  void refuse(const boost::beast::error_code& error) {
    if (error == http::error::header_limit) return refuse_head_size();
    if (error == http::error::body_limit) {
      return refuse(
          {413, "body_too_large", "the body is larger than " + std::to_string(options.max_body) + " bytes", {}});
    }
    if (error == http::error::bad_version) {
      return refuse({505, "http_version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0", {}});
    }
    refuse({400, "bad_request", "this is no HTTP request: " + error.message(), {}});
  }

  void head_is_there() {
    Head fields;
    fields.method = to_string(parser->get().method_string());
    fields.target = to_string(parser->get().target());
    fields.http_1_0 = parser->get().version() < 11;
    for (const auto& field : parser->get())
      fields.fields.emplace_back(to_string(field.name_string()), to_string(field.value()));
    head = check_head(fields, options);
    if (head.answer) {
      state = State::answered;
    } else {
      state = State::body;
    }
  }
};

RequestReader::RequestReader(const HttpOptions& options) : parts_(std::make_unique<Parts>(options)) { next(); }
RequestReader::~RequestReader() = default;

size_t RequestReader::put(std::string_view bytes) {
  Parts& it = *parts_;
  size_t taken = 0;
  // Empty lines before a request: some old clients send one after a body.
  while (!it.begun && (bytes.substr(taken).starts_with("\r\n"))) taken += 2;
  while (it.state == State::head || it.state == State::body) {
    if (it.state == State::body && it.parser->is_done()) {
      it.head.request.body = std::move(it.parser->get().body());
      it.state = State::whole;
      break;
    }
    const std::string_view rest = bytes.substr(taken);
    if (rest.empty() || (!it.begun && rest == "\r")) break;
    it.begun = true;
    if (it.state == State::head && it.head_bytes == 0 && !it.line_fits(rest)) break;
    boost::beast::error_code error;
    const size_t n = it.parser->put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    taken += n;
    const bool waits = error == http::error::need_more;
    if (error && !waits) {
      it.refuse(error);
      break;
    }
    const size_t left = rest.size() - n;
    if (it.state == State::head) {
      it.head_bytes += n;
      if (it.line_bytes > 0 && it.head_bytes + (waits ? left : 0) > it.line_bytes + it.options.max_header) {
        it.refuse_head_size();
      } else if (it.parser->is_header_done()) {
        it.head_is_there();
      }
    } else if (waits && left > it.options.max_header) {
      it.refuse({400, "bad_request", "the head of a chunk, or what follows the last, is too long", {}});
    }
    if (waits) break;
  }
  return taken;
}

RequestReader::State RequestReader::state() const { return parts_->state; }
bool RequestReader::begun() const { return parts_->begun; }

bool RequestReader::wants_continue() const {
  return parts_->state == State::body && !http_1_0() && parts_->head.request.headers.contains("Expect");
}

bool RequestReader::keep_alive() const {
  const bool refused = parts_->state == State::answered && parts_->head.answer->status >= 300;
  return !refused && parts_->parser->is_done() && parts_->parser->keep_alive();
}

bool RequestReader::http_1_0() const { return parts_->parser->get().version() < 11; }

uint64_t RequestReader::body_bytes() const {
  return parts_->state == State::whole ? parts_->head.request.body.size() : parts_->parser->get().body().size();
}

const Request& RequestReader::request() const { return parts_->head.request; }
Request& RequestReader::request() { return parts_->head.request; }
const Headers& RequestReader::reply_headers() const { return parts_->head.reply_headers; }
const OwnReply& RequestReader::answer() const { return *parts_->head.answer; }
void RequestReader::refuse(OwnReply reply) { parts_->refuse(std::move(reply)); }
void RequestReader::next() { parts_->next(); }

}  // namespace ingrain::serve
