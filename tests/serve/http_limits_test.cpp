// How many, how much and how long: limits, clients that are slow or leave, and the end of the server. Nothing here
// waits for a time to pass but where a limit is the matter.
#include "http_client.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

}  // namespace
}  // namespace ingrain::serve
