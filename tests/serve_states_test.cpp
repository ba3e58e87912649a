// Where the server's memories are: found in the store by their text, never waited for by those who compute.
#include "serve/engine/states.h"

#include "same_memory.h"
#include "serve_engine.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <thread>

namespace ingrain::serve {
namespace {

using testing::HasSubstr;

/// SQLite's records that count what is asked of them, and keep one owner waiting.
class WatchedRecords : public Records {
 public:
  explicit WatchedRecords(const std::string& store) : records_(open_sqlite(store)) {}

  /// From now on whoever looks for this owner's states waits for open().
  void close_for(const Owner& owner) {
    const std::lock_guard lock(mutex_);
    closed_ = owner;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    closed_.reset();
    changed_.notify_all();
  }
  void wait_for_somebody_waiting() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ > 0; });
  }
  int64_t rows_seen = 0, lines_seen = 0;

  std::vector<StateRow> ancestry(const std::string& id) override {
    ++lines_seen;
    return records_->ancestry(id);
  }
  std::vector<StateRow> states_of_text(const std::string& owner, const std::string& model,
                                       std::span<const uint64_t> hash_high) override {
    {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return closed_ != owner; });
      --waiting_;
    }
    auto out = records_->states_of_text(owner, model, hash_high);
    rows_seen += static_cast<int64_t>(out.size());
    return out;
  }
  std::vector<StateRow> filed_states(int64_t used, int64_t order, int64_t limit) override {
    return records_->filed_states(used, order, limit);
  }
  using Records::put;
  void put(const std::vector<StateRow>& states, const std::vector<Record>& records, const Lease& held) override {
    records_->put(states, records, held);
  }
  std::optional<Record> get(const std::string& owner, const std::string& kind, const std::string& id) override {
    return records_->get(owner, kind, id);
  }
  std::optional<Record> by_name(const std::string& owner, const std::string& kind, const std::string& name) override {
    return records_->by_name(owner, kind, name);
  }
  std::vector<Record> list(const std::string& owner, const std::string& kind, const List& which) override {
    return records_->list(owner, kind, which);
  }
  bool remove(const std::string& owner, const std::string& kind, const std::string& id) override {
    return records_->remove(owner, kind, id);
  }
  std::optional<StateRow> state(const std::string& id) override { return records_->state(id); }
  void touch(const std::string& id, int64_t used) override { records_->touch(id, used); }
  void set_file(const std::string& id, bool has_file) override { records_->set_file(id, has_file); }
  void drop_file(const std::string& id) override { records_->drop_file(id); }
  bool named(const std::string& state, const std::string& kind) override { return records_->named(state, kind); }
  void remove_state(const std::string& id) override { records_->remove_state(id); }
  bool lease(const std::string& name, const std::string& holder, double seconds) override {
    return records_->lease(name, holder, seconds);
  }
  bool renew(const Lease& held, double seconds) override { return records_->renew(held, seconds); }
  void release(const std::string& name, const std::string& holder) override { records_->release(name, holder); }

 private:
  const std::shared_ptr<Records> records_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Owner> closed_;
  int waiting_ = 0;
};

class ServedStates : public ServingTest {
 protected:
  std::unique_ptr<Engine> engine_on(std::shared_ptr<Records> records) const {
    return std::make_unique<Engine>(model(), std::move(records), on_disk());
  }
  static Json question(const std::string& text) { return Json::array({message("user", text)}); }
};

TEST_F(ServedStates, nobody_waits_while_the_store_keeps_another_waiting) {
  const auto records = std::make_shared<WatchedRecords>(store());
  const auto e = engine_on(records);
  records->close_for("slow");
  std::thread slow([&] { e->run(prompt(question("hello"), "slow"), writing(4)); });
  records->wait_for_somebody_waiting();
  // A whole conversation of another's, states found, kept and gone on from.
  const Outcome first = e->run(prompt(question("hello"), "fast"), writing(4));
  const Outcome on = e->run(prompt(next(question("hello"), first.choices[0].text, "more"), "fast"), writing(4));
  EXPECT_GT(on.cached_tokens, 0);
  records->open();
  slow.join();
}

TEST_F(ServedStates, of_a_long_history_only_what_is_gone_on_from_is_looked_at) {
  Json last;
  {
    const auto e = engine(on_disk(), store());
    for (int i = 0; i < 30; ++i) {
      last = question("question " + std::to_string(i));
      last = next(last, e->run(prompt(last), writing(4)).choices[0].text, "and then?");
    }
  }
  const auto records = std::make_shared<WatchedRecords>(store());
  const auto e = engine_on(records);
  const Outcome out = e->run(prompt(last), writing(4));
  EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 28);
  EXPECT_EQ(records->rows_seen, 1);
  EXPECT_EQ(records->lines_seen, 1);
  EXPECT_LE(e->stats().states_in_memory, 3);
}

TEST_F(ServedStates, a_named_state_is_loaded_after_a_restart_and_its_text_read_where_its_file_is_gone) {
  Outcome first;
  {
    const auto e = engine(on_disk(), store());
    first = e->run(prompt(question("hello there")), writing(4));
  }
  Prompt on = prompt(next(question("hello there"), first.choices[0].text, "and then?"));
  on.latest = first.choices[0].state;
  std::vector<std::string> texts;
  const auto go_on = [&] {
    const auto e = engine(on_disk(), store());
    const Outcome out = e->run(on, writing(4));
    texts.push_back(out.choices[0].text);
    return out.prompt_tokens - out.cached_tokens;
  };
  EXPECT_EQ(go_on(), 28);
  for (const auto& file : std::filesystem::directory_iterator(dir_ / "states")) std::filesystem::remove(file);
  EXPECT_GT(go_on(), 28);
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(ServedStates, of_two_servers_each_knows_at_once_what_the_other_has_kept) {
  const auto records = open_sqlite(store());
  const auto left = engine_on(records), right = engine_on(records);
  Json messages = question("hello there");
  for (int turn = 0; turn < 4; ++turn) {
    const Outcome out = (turn % 2 ? right : left)->run(prompt(messages), writing(9));
    if (turn > 0) {
      EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 28) << turn;
    }
    messages = next(messages, out.choices[0].text, "and then?");
  }
}

TEST_F(ServedStates, a_text_that_ends_within_a_token_is_found_there) {
  const Model with = model();
  const tokenizer::Tokenizer& tokenizer = with.parts().tokenizer();
  const std::vector<int32_t> tokens = with.encode("it was a dark and stormy night");
  Beginnings beginnings(tokenizer, "base", tokens);
  std::vector<TextHash> all;
  for (auto hashes = beginnings.next(); !hashes.empty(); hashes = beginnings.next())
    all.insert(all.end(), hashes.begin(), hashes.end());
  const std::string text = "it was a dark and stormy night";
  ASSERT_EQ(all.size(), text.size() + 1);
  EXPECT_EQ(all[0], beginnings.whole());
  for (size_t i = 0; i < all.size(); ++i) {
    TextHasher hasher("base");
    hasher.add_bytes(text.substr(0, text.size() - i));
    EXPECT_EQ(all[i], hasher.hash()) << i;
  }
}

TEST_F(ServedStates, all_beginnings_of_a_long_text_come_in_pieces_and_none_twice) {
  const Model with = model();
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>('a' + i * i % 23);
  const std::vector<int32_t> tokens = with.encode(text);
  Beginnings beginnings(with.parts().tokenizer(), "", tokens);
  uint64_t below = text.size() + 1;
  size_t pieces = 0;
  for (auto hashes = beginnings.next(); !hashes.empty(); hashes = beginnings.next(), ++pieces)
    for (const TextHash& hash : hashes) EXPECT_EQ(hash.length, --below);
  EXPECT_EQ(below, 0u);
  EXPECT_GT(pieces, 1u);
  Beginnings none(with.parts().tokenizer(), "", {});
  EXPECT_EQ(none.next().size(), 1u);
  EXPECT_TRUE(none.next().empty());
}

TEST_F(ServedStates, a_memory_that_waits_its_turn_is_not_in_ram) {
  EngineOptions options = on_disk();
  options.max_running = 1;
  options.memory_budget = 1;
  const auto e = engine(options, store());
  std::vector<Json> conversations;
  for (int i = 0; i < 12; ++i) {
    const Json start = question("question " + std::to_string(i));
    conversations.push_back(next(start, e->run(prompt(start), writing(4)).choices[0].text, "go on"));
  }
  std::atomic<bool> stop = false;
  std::thread long_one(
      [&] { e->run(prompt(question("first")), writing(1 << 30), [&](const Event&) { return !stop; }); });
  while (e->stats().running < 1) std::this_thread::yield();
  std::vector<std::thread> threads;
  for (const Json& messages : conversations) threads.emplace_back([&] { e->run(prompt(messages), writing(4)); });
  while (e->stats().waiting < 11) std::this_thread::yield();
  EXPECT_LE(e->stats().states_in_memory, 3);  // of the one that runs and of the next
  stop = true;
  long_one.join();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(e->stats().states_in_memory, 0);
}

TEST_F(ServedStates, the_end_of_a_conversation_of_many_states_is_no_deep_recursion) {
  NodePtr last;
  for (int i = 0; i < 1'000'000; ++i) {
    auto node = std::make_shared<Node>();
    node->parent = std::move(last);
    last = std::move(node);
  }
  EXPECT_TRUE(last->text().empty());
  last.reset();
}

TEST_F(ServedStates, idle_it_gives_back_what_it_can) {
  std::atomic<int> idle = 0;
  EngineOptions options;
  options.on_idle = [&] { ++idle; };
  const auto e = engine(options);
  e->run(prompt(question("hello")), writing(4));
  while (idle < 1) std::this_thread::yield();
}

}  // namespace
}  // namespace ingrain::serve
