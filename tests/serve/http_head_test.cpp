// Heads of requests and of replies, without sockets.
#include "serve/http/head.h"
#include "serve/http/reply_head.h"
#include "serve/http/request_reader.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingrain::serve {
namespace {

using ::testing::HasSubstr;
using State = RequestReader::State;

std::string path_of(std::string_view target) {
  Request request;
  std::string authority;
  const auto refusal = read_target(target, request, authority);
  return refusal ? std::to_string(refusal->status) : request.path;
}

TEST(HttpTarget, is_decoded_into_path_and_query) {
  Request request;
  std::string authority;
  EXPECT_FALSE(
      read_target("/v1/models/org%2Fmodel?limit=2&after=a%26b+c&flag&include[]=x&include[]=y", request, authority));
  EXPECT_EQ(request.path, "/v1/models/org/model");
  EXPECT_EQ(request.query.at("limit"), "2");
  EXPECT_EQ(request.query.at("after"), "a&b c");
  EXPECT_EQ(request.query.at("flag"), "");
  EXPECT_EQ(request.query.at("include[]"), "x,y");
  EXPECT_EQ(authority, "");
  EXPECT_FALSE(read_target("HTTP://Host:80/a?b", request, authority));
  EXPECT_EQ(authority, "Host:80");
  EXPECT_EQ(path_of("/a+b"), "/a+b");
  EXPECT_EQ(path_of("/%C3%A4"), "/\xC3\xA4");
  EXPECT_EQ(path_of("/...?x"), "/...");
  EXPECT_EQ(path_of("/?"), "/");
}

TEST(HttpTarget, is_refused_where_it_climbs_or_is_no_text) {
  for (const char* target :
       {"",    "x",    "*",    "/a/../b", "/..",  "/%2e%2E/x", "/a%2f..",   "/%00",      "/a%0Ab",  "/%7f", "/%",
        "/%4", "/%zz", "/%ff", "/\xff",   "/a#b", "http://",   "http:///x", "ftp://a/b", "/?a=%00", "/?%"}) {
    EXPECT_EQ(path_of(target), "400") << target;
  }
}

TEST(HttpHost, names_of_this_server_and_addresses_are_allowed) {
  HttpOptions options;
  options.address = "::1";
  options.hosts = {"Ingrain.example.com"};
  for (const char* host : {"localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:1", "[::1]", "[::1]:8080",
                           "192.168.1.7:8080", "ingrain.example.com", "INGRAIN.example.com.:443"}) {
    EXPECT_TRUE(host_allowed(host, options)) << host;
  }
  for (const char* host :
       {"", "evil.com", "localhost.evil.com", "xingrain.example.com", "127.0.0.1.evil.com", "localhost:x", "[::1",
        "[evil]", "localhost:123456", "127.0.0.1@evil.com", "2130706433", "a b"}) {
    EXPECT_FALSE(host_allowed(host, options)) << host;
  }
  options.hosts = {"*"};
  EXPECT_TRUE(host_allowed("evil.com", options));
}

TEST(HttpOrigin, own_pages_and_listed_ones_are_allowed) {
  HttpOptions options;
  EXPECT_TRUE(origin_allowed("http://localhost:8080", "localhost:8080", options));
  EXPECT_TRUE(origin_allowed("https://chat.example.com", "Chat.example.com", options));
  EXPECT_FALSE(origin_allowed("http://localhost:8081", "localhost:8080", options));
  EXPECT_FALSE(origin_allowed("null", "null", options));
  EXPECT_FALSE(origin_allowed("https://a.com", "b.com", options));
  options.origins = {"https://a.com/"};
  EXPECT_TRUE(origin_allowed("https://a.com", "b.com", options));
  EXPECT_FALSE(origin_allowed("https://a.com.evil.com", "b.com", options));
  EXPECT_FALSE(origin_allowed("http://a.com", "b.com", options));
}

TEST(HttpErrors, are_json_whatever_they_quote) {
  const OwnReply reply{403, "invalid_host", "Host is '\"\\\n\xff'", {}};
  const auto json = nlohmann::json::parse(error_json(reply));
  EXPECT_EQ(json["error"]["code"], "invalid_host");
  EXPECT_EQ(json["error"]["type"], "invalid_request_error");
  EXPECT_TRUE(json["error"]["param"].is_null());
  EXPECT_THAT(json["error"]["message"].get<std::string>(), HasSubstr("\\x0a\\xff"));
  EXPECT_THAT(error_json(too_busy("full")), HasSubstr("server_error"));
}

TEST(HttpReplyHead, cannot_be_split_by_what_a_value_holds) {
  ReplyHead head;
  head.content_type = "text/plain";
  head.framing = Framing::length;
  head.length = 5;
  head.request_id = "req_1";
  head.more = {{"X-A", "b\r\nX-Evil: 1\r\n\r\n"},
               {"content-length", "99"},
               {"Transfer-Encoding", "chunked"},
               {"cache-control", "max-age=9"}};
  const std::string bytes = reply_head_bytes(head);
  EXPECT_TRUE(bytes.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(bytes.ends_with("\r\n\r\n"));
  EXPECT_EQ(bytes.find("\r\n\r\n"), bytes.size() - 4);
  EXPECT_EQ(bytes.find("\r\nX-Evil"), bytes.npos);
  EXPECT_THAT(bytes, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_EQ(bytes.find("chunked"), bytes.npos);
  EXPECT_THAT(bytes, HasSubstr("max-age=9\r\n"));
  EXPECT_EQ(bytes.find("no-store"), bytes.npos);
  EXPECT_THAT(bytes, HasSubstr("X-Request-Id: req_1\r\n"));
  EXPECT_THAT(bytes, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  head.more = {{"a: b\r\nc", "d"}};
  EXPECT_THROW(reply_head_bytes(head), Error);
}

/// What becomes of these bytes: "200" and the body, or the status that refuses them.
std::string outcome(const std::string& bytes, HttpOptions options = {}, size_t at_once = 1 << 20) {
  RequestReader reader(options);
  std::string buffer;
  for (size_t i = 0; i < bytes.size(); i += at_once) {
    buffer += bytes.substr(i, at_once);
    buffer.erase(0, reader.put(buffer));
    if (reader.state() == State::whole) return "200 " + reader.request().body;
    if (reader.state() == State::answered) return std::to_string(reader.answer().status);
  }
  return reader.state() == State::head ? "head" : "body";
}

const std::string kHost = "Host: localhost\r\n";

TEST(HttpReader, bodies_arrive_however_they_are_cut) {
  for (const size_t at_once : {1, 2, 3, 7, 1000}) {
    EXPECT_EQ(outcome("POST /a HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhello", {}, at_once), "200 hello");
    EXPECT_EQ(outcome("POST /a HTTP/1.1\r\n" + kHost +
                          "Transfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nhel\r\n2\r\nlo\r\n0\r\nT: r\r\n\r\n",
                      {}, at_once),
              "200 hello");
    EXPECT_EQ(outcome("\r\n\r\nGET /a HTTP/1.0\r\n\r\n", {}, at_once), "200 ");
  }
  EXPECT_EQ(outcome("POST /a HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhell"), "body");
}

TEST(HttpReader, limits_are_refused_by_name) {
  HttpOptions options;
  options.max_body = 10;
  options.max_header = 300;
  options.max_target = 50;
  const std::string post = "POST /a HTTP/1.1\r\n" + kHost;
  EXPECT_EQ(outcome(post + "Content-Length: 11\r\n\r\n", options), "413");
  EXPECT_EQ(outcome(post + "Content-Length: 10\r\n\r\n0123456789", options), "200 0123456789");
  EXPECT_EQ(outcome(post + "Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n01234\r\n0\r\n\r\n", options), "413");
  EXPECT_EQ(outcome("GET /" + std::string(60, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n", options), "414");
  EXPECT_EQ(outcome("GET /" + std::string(600, 'a'), options), "414");
  EXPECT_EQ(outcome(post + "A: " + std::string(400, 'a') + "\r\n\r\n", options), "431");
  EXPECT_EQ(outcome(post + "A: " + std::string(400, 'a'), options, 1), "431");
  EXPECT_EQ(outcome(post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(400, 'x'), options), "400");
  EXPECT_EQ(outcome(post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + std::string(400, 'x'), options), "400");
  // Of the headers, to the byte, whatever the first line takes.
  for (const size_t target : {1u, 40u})
    for (const size_t over : {0u, 1u})
      for (const size_t step : {1000u, 1u}) {
        const std::string line = "GET /" + std::string(target, 'a') + " HTTP/1.1\r\n", rest = kHost + "A: ";
        const std::string filled = rest + std::string(300 + over - rest.size() - 4, 'x') + "\r\n\r\n";
        EXPECT_EQ(outcome(line + filled, options, step).substr(0, 3), over ? "431" : "200") << target << step;
      }
  std::string many = post;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(outcome(many + "\r\n"), "431");
}

TEST(HttpReader, a_head_that_comes_line_by_line_is_bounded_as_a_whole) {
  HttpOptions options;
  options.max_header = 1000;
  options.max_target = 100;
  RequestReader reader(options);
  // The first letter of the next line is there each time, so that the parser knows that this one is not folded.
  std::string buffer = "GET / HTTP/1.1\r\nA";
  int lines = 0;
  while (reader.state() == State::head && lines < 1000) {
    buffer.erase(0, reader.put(buffer));
    buffer += ": b\r\nA";
    ++lines;
  }
  EXPECT_EQ(reader.state(), State::answered);
  EXPECT_EQ(reader.answer().status, 431);
  EXPECT_LT(lines, 200);
}

TEST(HttpReader, what_two_programs_could_read_differently_is_refused) {
  const std::string post = "POST /a HTTP/1.1\r\n" + kHost;
  for (const char* fields :
       {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n", "Content-Length: 0x3\r\n", "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n", "Content-Length : 3\r\n", "A: b\nContent-Length: 3\r\n",
        "Host: localhost\r\n"}) {
    EXPECT_EQ(outcome(post + fields + "\r\nabc"), "400") << fields;
  }
  EXPECT_EQ(outcome("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400");
}

TEST(HttpReader, heads_are_checked) {
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\nHost: evil.com\r\n\r\n"), "403");
  EXPECT_EQ(outcome("GET http://evil.com/a HTTP/1.1\r\n" + kHost + "\r\n"), "403");
  EXPECT_EQ(outcome("GET http://localhost/a HTTP/1.1\r\n" + kHost + "\r\n"), "200 ");
  EXPECT_EQ(outcome("GET /a HTTP/1.0\r\nHost: evil.com\r\n\r\n"), "403");
  EXPECT_EQ(outcome("GET /a HTTP/2.0\r\n" + kHost + "\r\n"), "505");
  EXPECT_EQ(outcome("GET /a\r\n" + kHost + "\r\n"), "400");
  EXPECT_EQ(outcome("TRACE /a HTTP/1.1\r\n" + kHost + "\r\n"), "405");
  EXPECT_EQ(outcome("CONNECT a:1 HTTP/1.1\r\n" + kHost + "\r\n"), "400");
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\n" + kHost + "Expect: tea\r\n\r\n"), "417");
  EXPECT_EQ(outcome("\x16\x03\x01\x02"), "400");
  EXPECT_EQ(outcome("POST /a HTTP/1.1\r\n" + kHost + "Origin: https://evil.com\r\n\r\n"), "403");
  EXPECT_EQ(outcome("POST /a HTTP/1.1\r\n" + kHost + "Origin: http://localhost\r\n\r\n"), "200 ");
  EXPECT_EQ(outcome("OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n"), "204");
}

TEST(HttpReader, trailers_add_no_headers) {
  HttpOptions options;
  RequestReader reader(options);
  const std::string bytes =
      "POST /a HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\n\r\n";
  EXPECT_EQ(reader.put(bytes), bytes.size());
  EXPECT_EQ(reader.state(), State::whole);
  EXPECT_FALSE(reader.request().headers.contains("Authorization"));
}

TEST(HttpReader, preflights_are_answered_for_listed_origins_alone) {
  HttpOptions options;
  const std::string bytes = "OPTIONS /v1/models HTTP/1.1\r\n" + kHost +
                            "Origin: https://a.com\r\nAccess-Control-Request-Method: POST\r\n"
                            "Access-Control-Request-Headers: authorization,x-stainless-lang\r\n\r\n";
  EXPECT_EQ(outcome(bytes, options), "403");
  options.origins = {"https://a.com"};
  RequestReader reader(options);
  reader.put(bytes);
  EXPECT_EQ(reader.answer().status, 204);
  EXPECT_TRUE(reader.keep_alive());
  EXPECT_EQ(reader.reply_headers().at("Access-Control-Allow-Origin"), "https://a.com");
  EXPECT_EQ(reader.reply_headers().at("Access-Control-Allow-Headers"), "authorization,x-stainless-lang");
  EXPECT_EQ(reader.reply_headers().at("Vary"), "Origin");
}

}  // namespace
}  // namespace ingrain::serve
