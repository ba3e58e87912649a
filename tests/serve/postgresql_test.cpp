#include "serve/postgresql_server.h"
#include "serve/records_cases.h"

#include "scratch.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace ingrain::serve {
namespace {

TEST(Postgresql, goes_on_after_the_database_was_restarted) {
  std::string why;
  const auto all = implementations();
  const auto place = all.back().make(&why);
  if (!place) GTEST_SKIP() << why;
  const auto records = place->open();
  records->put(record("before"));
  std::atomic<bool> stop = false;
  std::atomic<int> acknowledged = 0;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      records->put(record("r" + std::to_string(i)));
      acknowledged = i + 1;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  restart_postgresql();
  const int then = acknowledged;
  while (acknowledged < then + 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  stop = true;
  writer.join();
  EXPECT_TRUE(records->get("ann", "response", "before"));
  EXPECT_TRUE(records->lease("c", "one", 60));
  for (int i = 0; i < acknowledged; ++i) EXPECT_TRUE(records->get("ann", "response", "r" + std::to_string(i))) << i;
}

TEST(Postgresql, addresses_are_refused_without_their_password) {
  for (const char* url : {"", "host=x", "mysql://a:secret@b/c", "postgresql://a:secret@[b/c",
                          "postgresql://a:secret@h:x/y", "postgresql://a:secret@localhost:1/none"}) {
    const std::string error = error_of([&] { open_postgresql(url); });
    EXPECT_FALSE(error.empty()) << url;
    EXPECT_FALSE(contains(error, "secret")) << error;
  }
}

double seconds_until_refused(const std::string& url, std::string& error) {
  const auto start = std::chrono::steady_clock::now();
  error = error_of([&] { open_postgresql(url); });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A database that is not there yet is waited for, 3.15 s in all.
TEST(Postgresql, what_waiting_cannot_change_is_refused_at_once) {
  if (std::string why; postgresql_database(&why).empty()) GTEST_SKIP() << why;
  const std::pair<const char*, const char*> faults[] = {
      {"postgresql://a:secret@h:x/y", "port 'x'"},
      {"postgresql://a@h:1,h:70000/y", "port 70000"},
      {"postgresql://a@h/y?sslmode=perhaps", "sslmode"},
      {"postgresql://a@h1,h2/y?port=1,2,3", "3 port numbers"},
  };
  std::string error;
  for (const auto& [url, reason] : faults) {
    EXPECT_LT(seconds_until_refused(url, error), 1.0) << url;
    EXPECT_TRUE(contains(error, reason)) << url << ": " << error;
  }
  std::string why;
  const std::string there = postgresql_database(&why);
  EXPECT_LT(seconds_until_refused("postgresql://nobody@/none" + there.substr(there.find('?')), error), 1.0);
  EXPECT_TRUE(contains(error, "nobody")) << error;
  EXPECT_GT(seconds_until_refused("postgresql://a@localhost:1/none", error), 2.0);
}

}  // namespace
}  // namespace ingrain::serve
