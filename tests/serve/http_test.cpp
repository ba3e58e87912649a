// The server over real sockets. Nothing here waits for a time to pass but where a limit is the matter; what must happen
// has 20 seconds for it, on however loaded a machine.
#include "serve/http/server.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace ingrain::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kPatience = std::chrono::seconds(20);

/// A thread that waits for another's word.
class Signal {
 public:
  void give() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool wait(int count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

bool becomes_true(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class Client {
 public:
  explicit Client(const HttpServer& server, int receive_buffer = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval limit{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    EXPECT_TRUE(connected_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  /// Until `end` has come, or all is there.
  std::string read_until(std::string_view end) {
    while (buffer_.find(end) == buffer_.npos && fill()) {}
    const size_t at = buffer_.find(end);
    const size_t size = at == buffer_.npos ? buffer_.size() : at + end.size();
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return out;
  }
  std::string read_all() {
    while (fill()) {}
    return std::exchange(buffer_, {});
  }
  /// A reply with a Content-Length.
  std::string read_reply() {
    std::string head = read_until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == head.npos) return head;
    const size_t length = std::stoul(head.substr(at + 16));
    while (buffer_.size() < length && fill()) {}
    head += buffer_.substr(0, length);
    buffer_.erase(0, length);
    return head;
  }
  bool failed() const { return failed_; }  // other than by an orderly end

 private:
  bool fill() {
    char bytes[4096];
    const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
    if (n < 0) failed_ = true;
    if (n <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  int socket_;
  bool connected_ = false, failed_ = false;
  std::string buffer_;
};

std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n";
}

void echo(Exchange& exchange) {
  const Request& request = exchange.request();
  exchange.reply(200, "text/plain", request.method + " " + request.path + " " + request.body);
}

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

TEST(HttpServer, a_client_that_leaves_is_noticed_without_writing) {
  for (const bool only_half : {false, true}) {
    Signal arrived, noticed;
    HttpServer server({.port = 0}, [&](Exchange& exchange) {
      arrived.give();
      if (becomes_true([&] { return exchange.gone(); })) noticed.give();
      exchange.begin(200, "text/plain");
      EXPECT_FALSE(exchange.write("x"));
      exchange.end();
    });
    Client client(server);
    client.send(get("/"));
    ASSERT_TRUE(arrived.wait());
    only_half ? client.finish_sending() : client.close();
    EXPECT_TRUE(noticed.wait());
    EXPECT_TRUE(becomes_true([&] { return server.connections() == 0; }));
  }
}

TEST(HttpServer, a_client_that_takes_nothing_is_cut) {
  Signal cut;
  HttpServer server({.port = 0, .write_seconds = 0.3}, [&](Exchange& exchange) {
    const std::string part(1 << 20, 'x');
    exchange.begin(200, "text/plain");
    for (int i = 0; i < 1000; ++i) {
      if (!exchange.write(part)) break;
    }
    if (exchange.gone()) cut.give();
  });
  Client client(server, 4096);
  client.send(get("/"));
  EXPECT_TRUE(cut.wait());
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

TEST(HttpServer, bodies_of_all_requests_have_one_limit) {
  Signal arrived, go_on;
  HttpServer server({.port = 0, .max_body = 1000, .max_bodies = 1500}, [&](Exchange& exchange) {
    arrived.give();
    EXPECT_TRUE(go_on.wait());
    echo(exchange);
  });
  const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
  Client first(server), second(server);
  first.send(head + std::string(1000, 'x'));
  ASSERT_TRUE(arrived.wait());
  second.send(head + std::string(900, 'x'));
  EXPECT_THAT(second.read_reply(), StartsWith("HTTP/1.1 503 "));
  go_on.give();
  EXPECT_THAT(first.read_reply(), StartsWith("HTTP/1.1 200 "));
  Client third(server);
  third.send(head + std::string(1000, 'x'));
  EXPECT_THAT(third.read_reply(), StartsWith("HTTP/1.1 200 "));
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

TEST(HttpServer, heads_bodies_and_idle_connections_have_their_time) {
  HttpServer server({.port = 0, .header_seconds = 0.2, .body_seconds = 0.2, .idle_seconds = 0.2}, echo);
  Client silent(server), head(server), body(server), idle(server);
  head.send("GET / HTT");
  body.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx");
  idle.send(get("/"));
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_THAT(head.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(idle.read_reply(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_FALSE(idle.failed());
}

TEST(HttpServer, more_connections_than_allowed_are_told_to_come_again) {
  Signal arrived, go_on;
  HttpServer server({.port = 0, .max_connections = 2}, [&](Exchange& exchange) {
    arrived.give();
    EXPECT_TRUE(go_on.wait());
    echo(exchange);
  });
  Client first(server), second(server);
  first.send(get("/", "Connection: close\r\n"));
  second.send(get("/"));
  ASSERT_TRUE(arrived.wait(2));
  Client third(server);
  third.send(get("/"));
  const std::string reply = third.read_all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(reply, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(server.connections(), 2);
  go_on.give();
  EXPECT_THAT(first.read_all(), StartsWith("HTTP/1.1 200 "));
  first.close();
  ASSERT_TRUE(becomes_true([&] { return server.connections() == 1; }));
  Client fourth(server);
  fourth.send(get("/"));
  EXPECT_THAT(fourth.read_reply(), StartsWith("HTTP/1.1 200 "));
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

TEST(HttpServer, stopping_lets_work_end_and_takes_no_more) {
  Signal arrived, go_on;
  HttpServer server({.port = 0}, [&](Exchange& exchange) {
    arrived.give();
    EXPECT_TRUE(go_on.wait());
    EXPECT_FALSE(exchange.gone());
    echo(exchange);
  });
  Client works(server), idle(server), sends(server);
  works.send(get("/"));
  sends.send("GET / HT");
  ASSERT_TRUE(arrived.wait());
  ASSERT_TRUE(becomes_true([&] { return server.connections() == 3; }));
  std::thread stopper([&] { server.stop(20); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_THAT(sends.read_all(), StartsWith("HTTP/1.1 503 "));
  go_on.give();
  EXPECT_THAT(works.read_all(), StartsWith("HTTP/1.1 200 "));
  works.close(), idle.close(), sends.close();
  stopper.join();
  EXPECT_EQ(server.connections(), 0);
  server.stop(0);
}

TEST(HttpServer, stopping_ends_the_patience_with_what_does_not_end) {
  Signal arrived;
  HttpServer server({.port = 0}, [&](Exchange& exchange) {
    exchange.begin(200, "text/plain");
    arrived.give();
    while (exchange.write("x")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(exchange.gone());
  });
  Client client(server);
  client.send(get("/"));
  ASSERT_TRUE(arrived.wait());
  server.stop(0.05);
  EXPECT_EQ(server.connections(), 0);
  EXPECT_THAT(client.read_all(), Not(HasSubstr("\r\n0\r\n\r\n")));
}

TEST(HttpServer, two_hundred_are_served_at_once) {
  Signal arrived;
  HttpServer server({.port = 0}, [&](Exchange& exchange) {
    arrived.give();
    if (!arrived.wait(200)) return;
    exchange.begin(200, "text/plain");
    for (int i = 0; i < 5; ++i) exchange.write("part " + exchange.request().path + "\n");
    exchange.end();
  });
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send(get("/" + std::to_string(i)));
  }
  for (int i = 0; i < 200; ++i) {
    if (i % 3 == 0) {
      clients[i]->close();
      continue;
    }
    const std::string reply = clients[i]->read_until("0\r\n\r\n");
    EXPECT_THAT(reply, HasSubstr("part /" + std::to_string(i) + "\n"));
  }
  clients.clear();
  EXPECT_TRUE(becomes_true([&] { return server.connections() == 0; }));
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
