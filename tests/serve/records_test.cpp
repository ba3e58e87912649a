#include "serve/postgresql_server.h"
#include "serve/records_cases.h"
#include "serve/store/sqlite.h"

#include "scratch.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

namespace ingrain::serve {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class RecordsTest : public ::testing::TestWithParam<RecordsImplementation> {
 protected:
  void SetUp() override {
    std::string why = "no reason given";
    place_ = GetParam().make(&why);
    if (!place_) GTEST_SKIP() << why;
    records_ = place_->open();
  }
  void TearDown() override {
    records_.reset();
    place_.reset();
  }

  std::unique_ptr<RecordsPlace> place_;
  std::shared_ptr<Records> records_;
};

TEST_P(RecordsTest, what_was_put_comes_back_whole) {
  Record r = record("resp_1");
  r.parent = "conv_1";
  r.name = "my näme '); DROP TABLE records;--";
  r.state = "state_1";
  r.body = std::string("{\"a\":\"\xff\xfe\0 b\"}", 14);  // no UTF-8, and a NUL
  records_->put(r);
  const auto back = records_->get("ann", "response", "resp_1");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner, r.owner);
  EXPECT_EQ(back->kind, r.kind);
  EXPECT_EQ(back->id, r.id);
  EXPECT_EQ(back->parent, r.parent);
  EXPECT_EQ(back->name, r.name);
  EXPECT_EQ(back->state, r.state);
  EXPECT_EQ(back->body, r.body);
  EXPECT_EQ(back->created, r.created);
  EXPECT_EQ(back->updated, r.updated);
  EXPECT_GT(back->order, 0);
}

TEST_P(RecordsTest, a_state_comes_back_whole) {
  StateRow s = state("st_2");
  s.parent = "st_1";
  s.base = "st_0";
  s.tokens = std::string("\0\1\2\xff\0", 5);
  s.length = ~uint64_t{0};
  s.hash_high = uint64_t{1} << 63;
  s.hash_low = 42;
  s.position = 123'456'789'012;
  s.steps = 7;
  s.bytes = uint64_t{5} << 32;
  s.created = 10;
  s.used = 20;
  s.has_file = true;
  records_->put({s}, {});
  const auto back = records_->state("st_2");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner, "ann");
  EXPECT_EQ(back->model, "m");
  EXPECT_EQ(back->parent, s.parent);
  EXPECT_EQ(back->base, s.base);
  EXPECT_EQ(back->tokens, s.tokens);
  EXPECT_EQ(back->length, s.length);
  EXPECT_EQ(back->hash_high, s.hash_high);
  EXPECT_EQ(back->hash_low, s.hash_low);
  EXPECT_EQ(back->position, s.position);
  EXPECT_EQ(back->steps, s.steps);
  EXPECT_EQ(back->bytes, s.bytes);
  EXPECT_EQ(back->created, s.created);
  EXPECT_EQ(back->used, s.used);
  EXPECT_TRUE(back->has_file);
  EXPECT_FALSE(records_->state("st_3"));
}

TEST_P(RecordsTest, one_owners_rows_are_not_anothers) {
  Record r = record("resp_1");
  r.name = "n";
  records_->put(r);
  EXPECT_FALSE(records_->get("bob", "response", "resp_1"));
  EXPECT_FALSE(records_->get("ann", "memory", "resp_1"));
  EXPECT_FALSE(records_->get("an", "nresponse", "resp_1"));
  EXPECT_FALSE(records_->by_name("bob", "response", "n"));
  EXPECT_TRUE(records_->list("bob", "response", {}).empty());
  EXPECT_TRUE(records_->list("bob", "response", {.after = "resp_1"}).empty());
  EXPECT_FALSE(records_->remove("bob", "response", "resp_1"));
  EXPECT_TRUE(records_->get("ann", "response", "resp_1"));

  Record other = record("resp_1", "bob");  // the same id and name, another's
  other.name = "n";
  other.body = "{}";
  records_->put(other);
  EXPECT_NE(records_->get("ann", "response", "resp_1")->body, "{}");
  EXPECT_TRUE(records_->remove("bob", "response", "resp_1"));
  EXPECT_TRUE(records_->get("ann", "response", "resp_1"));
}

TEST_P(RecordsTest, a_record_replaces_that_of_its_key_and_keeps_its_order) {
  records_->put({}, {record("a"), record("b")});
  Record changed = record("a");
  changed.body = "new";
  changed.parent = "p";
  changed.state = "s";
  changed.order = 99;  // the store sets it
  records_->put(changed);
  EXPECT_THAT(ids(records_->list("ann", "response", {})), ElementsAre("a", "b"));
  EXPECT_EQ(records_->get("ann", "response", "a")->body, "new");
  EXPECT_EQ(records_->get("ann", "response", "a")->parent, "p");
  EXPECT_TRUE(records_->named("s", "response"));
}

TEST_P(RecordsTest, lists_go_both_ways_in_pieces) {
  for (int i = 0; i < 7; ++i) {
    Record item = record("item_" + std::to_string(i), "ann", "item");
    item.parent = i % 2 ? "odd" : "even";
    records_->put(item);
  }
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 3})), ElementsAre("item_0", "item_1", "item_2"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.after = "item_2", .limit = 2})), ElementsAre("item_3", "item_4"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 2, .descending = true})), ElementsAre("item_6", "item_5"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.after = "item_2", .descending = true})),
              ElementsAre("item_1", "item_0"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.parent = "odd"})), ElementsAre("item_1", "item_3", "item_5"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.parent = "even", .after = "item_4", .descending = true})),
              ElementsAre("item_2", "item_0"));
  EXPECT_TRUE(records_->list("ann", "item", {.after = "item_9"}).empty());
  EXPECT_EQ(records_->list("ann", "item", {.limit = -5}).size(), 1u);
  EXPECT_EQ(records_->list("ann", "item", {.limit = int64_t{1} << 62}).size(), 7u);
  records_->remove("ann", "item", "item_6");
  records_->put(record("item_7", "ann", "item"));  // an order is never given twice
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 2, .descending = true})), ElementsAre("item_7", "item_5"));
}

TEST_P(RecordsTest, a_name_is_one_records_only) {
  Record a = record("a"), b = record("b");
  a.name = b.name = "diary";
  records_->put(a);
  EXPECT_THROW(records_->put(b), NameTaken);
  EXPECT_THAT(error_of([&] { records_->put(b); }), HasSubstr("diary"));
  EXPECT_FALSE(records_->get("ann", "response", "b"));
  EXPECT_EQ(records_->by_name("ann", "response", "diary")->id, "a");
  records_->put(a);  // its own name is no other's
  a.name = "old";
  records_->put(a);
  records_->put(b);
  EXPECT_EQ(records_->by_name("ann", "response", "diary")->id, "b");
  records_->put(record("c"));
  records_->put(record("d"));  // no name is no name
  EXPECT_FALSE(records_->by_name("ann", "response", ""));
}

TEST_P(RecordsTest, a_put_is_whole_or_nothing) {
  Record a = record("a"), b = record("b");
  a.name = b.name = "same";
  EXPECT_THROW(records_->put({state("s")}, {a, b}), NameTaken);
  EXPECT_FALSE(records_->get("ann", "response", "a"));
  EXPECT_FALSE(records_->state("s"));
  b.name = "";
  b.id = std::string(600, 'x');
  EXPECT_THROW(records_->put({state("s")}, {a, b}), Error);
  EXPECT_FALSE(records_->state("s"));
  records_->put({state("s")}, {a});  // and it goes on after that
  EXPECT_TRUE(records_->state("s"));
}

TEST_P(RecordsTest, what_is_too_long_or_empty_is_refused_by_name) {
  Record r = record("a");
  r.id = "";
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("id"));
  r = record("a");
  r.name = std::string(513, 'n');
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("name"));
  r = record("a");
  r.name = std::string("a\0b", 3);
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("NUL"));
  r = record("a");
  r.body = std::string((size_t{64} << 20) + 1, 'b');
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("body"));
  EXPECT_FALSE(records_->get("ann", "response", std::string("a\0b", 3)));  // questions are never refused
  EXPECT_FALSE(records_->get("ann", "response", std::string(100'000, 'q')));
  EXPECT_FALSE(records_->by_name("ann", "response", "\xff\xff"));
}

TEST_P(RecordsTest, states_with_files_are_listed_by_use_in_pieces) {
  for (int i = 0; i < 5; ++i) {
    StateRow s = state("s" + std::to_string(i), i == 3 ? "bob" : "ann");
    s.used = 10 - i / 2;  // 10, 10, 9, 9, 8
    s.has_file = i != 4;
    s.tokens = "long";
    records_->put({s}, {});
  }
  const auto first = records_->filed_states(0, 0, 3);
  EXPECT_THAT(ids(first), ElementsAre("s2", "s3", "s0"));
  EXPECT_EQ(first[0].tokens, "");
  EXPECT_THAT(ids(records_->filed_states(first[2].used, first[2].order, 3)), ElementsAre("s1"));
  records_->touch("s3", 100);
  records_->touch("none", 100);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 100)), ElementsAre("s2", "s0", "s1", "s3"));
  records_->set_file("s4", true);
  EXPECT_TRUE(records_->state("s4")->has_file);
  EXPECT_EQ(records_->state("s4")->tokens, "long");
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s4"));
  records_->set_file("s4", false);
  EXPECT_FALSE(records_->state("s4")->has_file);
  EXPECT_FALSE(records_->state("s4")->dropped);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s2"));
  records_->remove_state("s2");
  EXPECT_FALSE(records_->state("s2"));
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s0"));
}

TEST_P(RecordsTest, states_are_found_by_their_texts_hash_within_owner_and_model) {
  constexpr uint64_t kHigh = ~uint64_t{0} - 5;
  const auto put = [&](const std::string& id, const std::string& owner, const std::string& model, uint64_t high,
                       uint64_t length, bool has_file = true) {
    StateRow s = state(id, owner, model);
    s.hash_high = high;
    s.length = length;
    s.has_file = has_file;
    s.tokens = "long";
    records_->put({s}, {});
  };
  put("short", "ann", "m", 7, 5);
  put("long", "ann", "m", kHigh, 50);
  put("again", "ann", "m", 7, 5);
  put("bobs", "bob", "m", 7, 5);
  put("of another", "ann", "n", 7, 5);
  put("gone", "ann", "m", 7, 5, false);
  put("other text", "ann", "m", 8, 6);
  const std::vector<uint64_t> wanted{3, kHigh, 7};
  const auto found = records_->states_of_text("ann", "m", wanted);
  EXPECT_THAT(ids(found), ElementsAre("long", "again", "short"));
  EXPECT_EQ(found[0].tokens, "");
  EXPECT_EQ(found[0].hash_high, kHigh);
  EXPECT_TRUE(records_->states_of_text("ann", "m", {}).empty());
  records_->drop_file("short");
  const auto with_dropped = records_->states_of_text("ann", "m", wanted);
  EXPECT_THAT(ids(with_dropped), ElementsAre("long", "again", "short"));
  EXPECT_TRUE(with_dropped[2].dropped && !with_dropped[2].has_file && !with_dropped[1].dropped);
  records_->put({with_dropped[2]}, {});
  EXPECT_TRUE(records_->state("short")->dropped);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 100)), Not(Contains("short")));
  EXPECT_TRUE(records_->states_of_text("cat", "m", wanted).empty());
  std::vector<uint64_t> many(5000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = i * 0x9e3779b97f4a7c15;
  many[4321] = 8;
  EXPECT_THAT(ids(records_->states_of_text("ann", "m", many)), ElementsAre("other text"));
  for (int64_t i = 0; i < Records::kMostOfText + 3; ++i) put("same" + std::to_string(i), "ann", "m", 7, 5);
  EXPECT_EQ(records_->states_of_text("ann", "m", wanted).size(), size_t{Records::kMostOfText});
  EXPECT_EQ(records_->states_of_text("ann", "m", wanted)[0].id, "long");
}

TEST_P(RecordsTest, a_state_comes_with_all_that_it_follows_on) {
  const auto put = [&](const std::string& id, const std::string& parent) {
    StateRow s = state(id);
    s.parent = parent;
    s.tokens = "of " + id;
    records_->put({s}, {});
  };
  put("c", "b");
  put("a", "");
  put("b", "a");
  put("other", "a");
  const auto line = records_->ancestry("c");
  EXPECT_THAT(ids(line), ElementsAre("a", "b", "c"));
  EXPECT_EQ(line[1].tokens, "of b");
  EXPECT_THAT(ids(records_->ancestry("a")), ElementsAre("a"));
  EXPECT_TRUE(records_->ancestry("none").empty());
  EXPECT_TRUE(records_->ancestry("").empty());
  records_->remove_state("a");
  EXPECT_TRUE(records_->ancestry("c").empty());
  put("a", "c");  // no server does it
  EXPECT_TRUE(records_->ancestry("c").empty());
}

TEST_P(RecordsTest, a_state_is_named_while_a_record_of_the_kind_names_it) {
  Record a = record("a"), b = record("b", "bob");
  a.state = b.state = "s";
  EXPECT_FALSE(records_->named("s", "response"));
  records_->put({}, {a, b, record("c")});
  EXPECT_TRUE(records_->named("s", "response"));
  EXPECT_FALSE(records_->named("", "response"));
  EXPECT_FALSE(records_->named("s", "memory"));
  records_->remove("ann", "response", "a");
  EXPECT_TRUE(records_->named("s", "response"));
  records_->remove("bob", "response", "b");
  EXPECT_FALSE(records_->named("s", "response"));
}

TEST_P(RecordsTest, a_lease_is_one_holders_until_it_ends) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  EXPECT_TRUE(records_->lease("conv_1", "one", 1));  // longer, never shorter
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
  EXPECT_TRUE(records_->lease("conv_2", "two", 60));
  records_->release("conv_1", "two");  // not its own
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
  records_->release("conv_1", "one");
  EXPECT_TRUE(records_->lease("conv_1", "two", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
}

TEST_P(RecordsTest, a_lease_that_ended_is_not_renewed_even_if_nobody_took_it) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_FALSE(records_->renew({"conv_1", "one"}, 60));
  EXPECT_TRUE(records_->lease("conv_1", "two", 60));
  EXPECT_FALSE(records_->renew({"conv_1", "one"}, 60));
  EXPECT_TRUE(records_->renew({"conv_1", "two"}, 0.01));  // never shorter
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_TRUE(records_->renew({"conv_1", "two"}, 60));
  records_->release("conv_1", "two");
  EXPECT_FALSE(records_->renew({"conv_1", "two"}, 60));
}

TEST_P(RecordsTest, a_write_that_depends_on_a_lease_is_its_holders_alone) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  records_->put({}, {record("a")}, {"conv_1", "one"});
  EXPECT_TRUE(records_->get("ann", "response", "a"));
  EXPECT_THROW(records_->put({state("s")}, {record("b")}, {"conv_1", "two"}), LeaseLost);
  EXPECT_THROW(records_->put({}, {record("b")}, {"conv_2", "one"}), LeaseLost);
  EXPECT_FALSE(records_->get("ann", "response", "b"));
  EXPECT_FALSE(records_->state("s"));
  EXPECT_TRUE(records_->lease("short", "one", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_THROW(records_->put({}, {record("b")}, {"short", "one"}), LeaseLost);
  EXPECT_TRUE(records_->lease("short", "two", 60));
  records_->put({}, {record("b")}, {"short", "two"});
  EXPECT_TRUE(records_->get("ann", "response", "b"));
}

TEST_P(RecordsTest, threads_lose_nothing_and_one_of_them_gets_a_lease) {
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

TEST_P(RecordsTest, two_connections_see_the_same_rows) {
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
TEST_P(RecordsTest, what_was_acknowledged_survives_kill_9) {
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

INSTANTIATE_TEST_SUITE_P(On, RecordsTest, ::testing::ValuesIn(implementations()),
                         [](const auto& info) { return info.param.name; });

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

}  // namespace
}  // namespace ingrain::serve
