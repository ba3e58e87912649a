#include "serve/records_cases.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

namespace ingrain::serve {
namespace {

class RecordsFaultsTest : public RecordsFixture {};

TEST_P(RecordsFaultsTest, threads_lose_nothing_and_one_of_them_gets_a_lease) {
  constexpr int kThreads = 6, kEach = 25;
  std::atomic<int> leases = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string holder = "t" + std::to_string(t);
      for (int i = 0; i < kEach; ++i) {
        const std::string id = holder + "_" + std::to_string(i);
        Record r = record(id);
        r.state = id;
        records_->put({state(id)}, {r});
        if (!records_->get("ann", "response", id) || !records_->state(id)) ++wrong;
        records_->touch(id, i);
        if (records_->list("ann", "response", {.limit = 5}).empty()) ++wrong;
      }
      if (records_->lease("the one", holder, 60)) ++leases;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(leases, 1);
  EXPECT_EQ(records_->list("ann", "response", {.limit = 1000}).size(), size_t{kThreads * kEach});
  int states = 0;
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < kEach; ++i) states += records_->state(fmt::format("t{}_{}", t, i)).has_value();
  EXPECT_EQ(states, kThreads * kEach);
}

TEST_P(RecordsFaultsTest, two_connections_see_the_same_rows) {
  if (!GetParam().lasts) GTEST_SKIP() << "nothing is shared";
  const auto other = place_->open();
  records_->put(record("a"));
  EXPECT_TRUE(other->get("ann", "response", "a"));
  EXPECT_TRUE(other->lease("c", "other", 60));
  EXPECT_FALSE(records_->lease("c", "this", 60));
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) other->put(record("o" + std::to_string(i)));
  });
  for (int i = 0; i < 20; ++i) records_->put(record("t" + std::to_string(i)));
  writer.join();
  EXPECT_EQ(records_->list("ann", "response", {}).size(), 41u);
}

// A process that writes without pause is killed; what it said that it had put is there.
TEST_P(RecordsFaultsTest, what_was_acknowledged_survives_kill_9) {
  if (!GetParam().lasts) GTEST_SKIP() << "nothing lasts";
  records_.reset();
  int acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    int pipe_of[2];
    ASSERT_EQ(::pipe(pipe_of), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        const auto mine = place_->open();
        for (int i = acknowledged;; ++i) {
          Record r = record("r" + std::to_string(i));
          r.state = "s" + std::to_string(i);
          r.body = std::string(static_cast<size_t>(i % 7 * 3000), 'b');
          mine->put({state(r.state)}, {r});
          if (::write(pipe_of[1], &i, sizeof i) != sizeof i) ::_exit(3);
        }
      } catch (const std::exception&) {
        ::_exit(2);
      }
    }
    ::close(pipe_of[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(30 + round * 11));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    int i = 0;
    while (::read(pipe_of[0], &i, sizeof i) == sizeof i) acknowledged = i + 1;
    ::close(pipe_of[0]);
    const auto mine = place_->open();
    for (int k = 0; k < acknowledged; ++k) {
      const auto r = mine->get("ann", "response", "r" + std::to_string(k));
      ASSERT_TRUE(r) << k << " of " << acknowledged;
      EXPECT_EQ(r->body.size(), static_cast<size_t>(k % 7 * 3000));
      EXPECT_TRUE(mine->state(r->state));
    }
    // What was put but not acknowledged is there in both halves or in none.
    const std::string next = std::to_string(acknowledged);
    EXPECT_EQ(mine->get("ann", "response", "r" + next).has_value(), mine->state("s" + next).has_value());
  }
  EXPECT_GT(acknowledged, 0);
}

INSTANTIATE_TEST_SUITE_P(On, RecordsFaultsTest, ::testing::ValuesIn(implementations()), implementation_name);

}  // namespace
}  // namespace ingrain::serve
