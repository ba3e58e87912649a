// Requests and replies over real sockets.
#include "http_client.h"

#include "base/error.h"

#include <gmock/gmock.h>

#include <atomic>

namespace ingrain::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(HttpServer, connections_are_kept_and_pipelined_requests_answered_in_order) {
  HttpServer server({.port = 0}, echo);
  Client client(server);
  client.send(get("/a"));
  const std::string first = client.read_reply();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("X-Request-Id: req_"));
  EXPECT_THAT(first, HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_THAT(first, HasSubstr("GET /a "));
  client.send("POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi" + get("/c") +
              get("/d", "Connection: close\r\n"));
  EXPECT_THAT(client.read_reply(), HasSubstr("POST /b hi"));
  EXPECT_THAT(client.read_reply(), HasSubstr("GET /c "));
  const std::string last = client.read_all();
  EXPECT_THAT(last, HasSubstr("GET /d "));
  EXPECT_THAT(last, HasSubstr("Connection: close\r\n"));
  EXPECT_FALSE(client.failed());
}

TEST(HttpServer, old_clients_heads_and_expectations_are_served) {
  HttpServer server({.port = 0}, echo);
  Client old(server);
  old.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.read_all(), HasSubstr("GET /a "));
  Client head(server);
  head.send("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/b", "Connection: close\r\n"));
  const std::string empty = head.read_until("\r\n\r\n");
  EXPECT_THAT(empty, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(head.read_all(), StartsWith("HTTP/1.1 200"));
  Client polite(server);
  polite.send("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(polite.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  polite.send("ok");
  EXPECT_THAT(polite.read_reply(), HasSubstr("POST /a ok"));
  Client chunks(server);
  chunks.send("POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
  chunks.send("3\r\nllo\r\n0\r\n\r\n");
  EXPECT_THAT(chunks.read_reply(), HasSubstr("POST /a hello"));
}

TEST(HttpServer, parts_arrive_while_the_handler_still_works) {
  Signal go_on;
  HttpServer server({.port = 0}, [&](Exchange& exchange) {
    exchange.begin(200, "text/event-stream");
    EXPECT_TRUE(exchange.write("data: 1\n\n"));
    EXPECT_TRUE(go_on.wait());
    EXPECT_TRUE(exchange.write("data: 2\n\n"));
    exchange.end();
  });
  Client client(server);
  client.send(get("/"));
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(client.read_until("1\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  go_on.give();
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  client.send("GET / HTTP/1.0\r\n\r\n");
  const std::string plain = client.read_all();
  EXPECT_THAT(plain, Not(HasSubstr("chunked")));
  EXPECT_THAT(plain, HasSubstr("\r\n\r\ndata: 1\n\ndata: 2\n\n"));
}

TEST(HttpServer, a_large_reply_arrives_whole) {
  const std::string body(5 << 20, 'y');
  HttpServer server({.port = 0}, [&](Exchange& exchange) { exchange.reply(200, "text/plain", body); });
  Client client(server);
  client.send(get("/"));
  EXPECT_THAT(client.read_reply().size(), ::testing::Gt(body.size()));
  client.send(get("/", "Connection: close\r\n"));
  EXPECT_TRUE(client.read_all().ends_with(body));
}

TEST(HttpServer, refusals_arrive_though_the_client_still_sends) {
  std::mutex mutex;
  std::vector<int> seen;
  HttpOptions options{.port = 0, .max_body = 1000};
  options.on_refusal = [&](const Request& request, int status, const std::string& why) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(request.peer, "127.0.0.1");
    EXPECT_FALSE(why.empty());
    seen.push_back(status);
  };
  HttpServer server(options, echo);
  Client client(server);
  client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n");
  client.send(std::string(3000000, 'x'));
  const std::string reply = client.read_reply();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(reply, HasSubstr(R"("code":"body_too_large")"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Request-Id: req_"));
  EXPECT_FALSE(client.failed());
  Client rebound(server);
  rebound.send("GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n");
  EXPECT_THAT(rebound.read_all(), StartsWith("HTTP/1.1 403 "));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen, (std::vector<int>{413, 403}));
}

TEST(HttpServer, pages_of_listed_origins_may_read_replies) {
  HttpServer server({.port = 0, .origins = {"https://a.com"}}, echo);
  Client client(server);
  client.send(
      "OPTIONS /v1/x HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.com\r\nAccess-Control-Request-Method: "
      "POST\r\n\r\n");
  const std::string preflight = client.read_reply();
  EXPECT_THAT(preflight, StartsWith("HTTP/1.1 204 "));
  EXPECT_THAT(preflight, HasSubstr("Access-Control-Allow-Methods: "));
  client.send(get("/a", "Origin: https://a.com\r\n"));
  const std::string reply = client.read_reply();
  EXPECT_THAT(reply, HasSubstr("Access-Control-Allow-Origin: https://a.com\r\n"));
  EXPECT_THAT(reply, HasSubstr("GET /a "));
  client.send(get("/b"));
  EXPECT_THAT(client.read_reply(), Not(HasSubstr("Access-Control")));
  client.send(get("/c", "Origin: https://b.com\r\n"));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 403 "));
}

TEST(HttpServer, who_may_not_ask_is_told_before_his_body_is_read) {
  std::atomic<int> handled = 0;
  std::atomic<uint64_t> bodies = 0, most = 0;
  HttpOptions options{.port = 0};
  options.on_head = [](const Request& head) -> std::optional<Refusal> {
    EXPECT_FALSE(head.id.empty());
    if (head.headers.contains("X-Key")) return std::nullopt;
    return Refusal{401, R"({"no": "key"})", "no key", {{"WWW-Authenticate", "Bearer"}}};
  };
  options.on_bodies = [&](uint64_t bytes) {
    bodies = bytes;
    most = std::max<uint64_t>(most, bytes);
  };
  HttpServer server(options, [&](Exchange& exchange) {
    ++handled;
    echo(exchange);
  });
  const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n";
  Client stranger(server), polite(server), known(server);
  stranger.send(head + "\r\n");  // and nothing of the body
  const std::string refused = stranger.read_reply();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, HasSubstr("WWW-Authenticate: Bearer\r\n"));
  EXPECT_THAT(refused, HasSubstr(R"({"no": "key"})"));
  polite.send(head + "Expect: 100-continue\r\n\r\n");
  EXPECT_THAT(polite.read_reply(), StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(most, 0u);
  known.send(head + "X-Key: k\r\n\r\n" + std::string(2'000'000, 'x'));
  EXPECT_TRUE(becomes_true([&] { return bodies > 900'000; }));  // while it is held open
  known.send(std::string(1'000'000, 'x'));
  EXPECT_THAT(known.read_reply(), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(becomes_true([&] { return bodies == 0; }));
  EXPECT_EQ(handled, 1);
  Client leaver(server);
  leaver.send(head + "X-Key: k\r\n\r\n" + std::string(2'000'000, 'x'));
  EXPECT_TRUE(becomes_true([&] { return bodies > 900'000; }));
  leaver.close();
  EXPECT_TRUE(becomes_true([&] { return bodies == 0; }));
}

TEST(HttpServer, a_handler_that_fails_is_a_500_that_tells_nothing) {
  std::atomic<int> told = 0;
  HttpOptions options{.port = 0};
  options.on_refusal = [&](const Request& request, int status, const std::string& why) {
    told += request.path == "/throws" && status == 500 && why == "a secret";
  };
  HttpServer server(options, [](Exchange& exchange) {
    if (exchange.request().path == "/throws") fail("a secret");
    if (exchange.request().path == "/cut") {
      exchange.begin(200, "text/plain");
      exchange.write("beginning");
    }
    if (exchange.request().path == "/twice") {
      echo(exchange);
      EXPECT_THROW(echo(exchange), Error);
      EXPECT_EQ(exchange.status(), 200);
    }
  });
  Client client(server);
  client.send(get("/throws"));
  const std::string thrown = client.read_reply();
  EXPECT_THAT(thrown, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(thrown, Not(HasSubstr("secret")));
  client.send(get("/nothing"));
  EXPECT_THAT(client.read_reply(), StartsWith("HTTP/1.1 500 "));
  client.send(get("/twice"));
  EXPECT_THAT(client.read_reply(), StartsWith("HTTP/1.1 200 "));
  client.send(get("/cut"));
  const std::string cut = client.read_all();
  EXPECT_THAT(cut, HasSubstr("beginning"));
  EXPECT_THAT(cut, Not(HasSubstr("0\r\n\r\n")));
  EXPECT_EQ(told, 1);
}

TEST(HttpServer, an_address_that_cannot_be_bound_is_named) {
  HttpServer server({.port = 0}, echo);
  for (const HttpOptions& options :
       {HttpOptions{.port = server.port()}, HttpOptions{.address = "nowhere.invalid", .port = 0},
        HttpOptions{.address = "203.0.113.1", .port = 0}}) {
    try {
      HttpServer second(options, echo);
      ADD_FAILURE() << options.address;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("address '" + options.address + "', port " + std::to_string(options.port)));
    }
  }
}

}  // namespace
}  // namespace ingrain::serve
