// What is in work on the server: who is read for when, what is read once for many, what it takes of RAM's budget, and
// states that are made again once their files are gone.
#include "serve/engine/shared_weights.h"

#include "same_memory.h"
#include "serve_engine.h"
#include "ttt/memory_file.h"

#include <gmock/gmock.h>

#include <atomic>
#include <numeric>
#include <thread>

namespace ingrain::serve {
namespace {

using testing::HasSubstr;

class ServedWork : public ServingTest {
 protected:
  static Json asked(const std::string& instructions, const std::string& question) {
    return Json::array({message("system", instructions), message("user", question)});
  }
  /// All prompts at once.
  static std::vector<Outcome> run_all(Engine& e, const std::vector<Json>& prompts, int64_t tokens) {
    std::vector<Outcome> out(prompts.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < prompts.size(); ++i)
      threads.emplace_back([&, i] { out[i] = e.run(prompt(prompts[i]), writing(tokens)); });
    for (std::thread& thread : threads) thread.join();
    return out;
  }
};

TEST_F(ServedWork, instructions_that_many_ask_with_at_once_are_read_once) {
  const std::string instructions(300, 'i');
  std::vector<Json> prompts;
  for (int i = 0; i < 12; ++i) prompts.push_back(asked(instructions, "question " + std::string(1, 'a' + i)));
  const auto e = engine();
  const std::vector<Outcome> together = run_all(*e, prompts, 20);
  int64_t all_read = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    all_read += together[i].prompt_tokens - together[i].cached_tokens;
    EXPECT_EQ(together[i].choices[0].text, engine()->run(prompt(prompts[i]), writing(20)).choices[0].text) << i;
  }
  // "<system>", "|<user>question ", a letter and "|<assistant>".
  EXPECT_EQ(all_read, 8 + 300 + 7 + 12 * (10 + 12));
  EXPECT_EQ(e->stats().tokens_read, all_read);
}

TEST_F(ServedWork, one_question_that_many_ask_at_once_is_read_once) {
  const std::vector<Json> prompts(8, asked(std::string(100, 'i'), "who was it"));
  const auto e = engine();
  const std::vector<Outcome> together = run_all(*e, prompts, 20);
  for (const Outcome& out : together) EXPECT_EQ(out.choices[0].text, together[0].choices[0].text);
  EXPECT_EQ(together[0].choices[0].text, engine()->run(prompt(prompts[0]), writing(20)).choices[0].text);
  EXPECT_EQ(e->stats().tokens_read, together[0].prompt_tokens);
}

TEST_F(ServedWork, who_waits_for_instructions_that_another_no_longer_reads_reads_them) {
  const auto e = engine();
  const Json leaves = asked(std::string(5000, 'i'), "one"), stays = asked(std::string(5000, 'i'), "two");
  std::atomic<bool> reading = false, stop = false;
  std::thread first([&] {
    e->run(prompt(leaves), writing(4), [&](const Event& event) {
      if (event.tokens_read == 0) return true;  // it has not begun
      reading = true;
      while (!stop) std::this_thread::yield();
      return false;
    });
  });
  while (!reading) std::this_thread::yield();
  std::thread second([&] { EXPECT_EQ(e->run(prompt(stays), writing(4)).choices[0].text.size(), 4u); });
  stop = true;
  first.join();
  second.join();
}

TEST_F(ServedWork, a_long_text_keeps_no_short_question_waiting) {
  const auto e = engine();
  std::atomic<bool> begun = false, enough = false, over = false;
  std::thread long_one([&] {
    e->read("", "", std::string(30'000, 'x'), [&](const Event& event) {
      begun = event.tokens_read > 0;
      return !enough;
    });
    over = true;
  });
  while (!begun) std::this_thread::yield();
  std::vector<Json> prompts;
  for (int i = 0; i < 8; ++i) prompts.push_back(asked("be brief", "question " + std::to_string(i)));
  run_all(*e, prompts, 4);
  EXPECT_FALSE(over);
  enough = true;
  long_one.join();
}

TEST_F(ServedWork, what_was_read_while_nobody_wrote_keeps_no_later_question_waiting) {
  const auto e = engine();
  e->read("", "", std::string(3'000, 'x'));
  std::atomic<int> arrived = 0, begun = 0, begun_by_then = 0;
  std::atomic<bool> ended = false;
  const auto ask = [&](int i) {
    e->run(prompt(asked("be brief", "question " + std::to_string(i))), writing(60),
           [&, said = false](const Event& event) mutable {
             if (event.kind == Event::Kind::reading && event.tokens_read == 0) {
               ++arrived;
               while (arrived < 2) std::this_thread::yield();
             }
             if (event.kind == Event::Kind::text && !std::exchange(said, true)) ++begun;
             return true;
           });
    if (!ended.exchange(true)) begun_by_then = begun.load();
  };
  std::thread first(ask, 0), second(ask, 1);
  first.join();
  second.join();
  EXPECT_EQ(begun_by_then, 2) << "they were written together";
}

TEST_F(ServedWork, what_is_in_work_counts_within_the_budget_of_ram) {
  std::vector<Json> prompts;
  for (int i = 0; i < 24; ++i) prompts.push_back(asked("be brief", "question " + std::string(40, 'a' + i)));
  const auto peak = [&](EngineOptions options, int64_t& running) {
    const auto e = engine(options, store());
    std::atomic<bool> stop = false;
    uint64_t most = 0;
    std::thread watching([&] {
      while (!stop) {
        const EngineStats now = e->stats();
        most = std::max(most, now.working_bytes + now.state_bytes_in_memory);
        running = std::max(running, now.running);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    run_all(*e, prompts, 60);
    stop = true;
    watching.join();
    return most;
  };
  int64_t at_once = 0, within = 0;
  const uint64_t wanted = peak({}, at_once);
  EXPECT_GT(at_once, 8);
  EngineOptions small = on_disk();
  small.memory_budget = wanted / 3;
  const uint64_t used = peak(small, within);
  EXPECT_GE(within, 2);
  EXPECT_LT(within, at_once);
  EXPECT_LE(used, small.memory_budget + small.memory_budget / 4);
}

TEST(SharedWeights, count_once_and_are_the_states_own_after_an_inner_step) {
  const Network model = test::tiny_model({}, at::kFloat);
  const ttt::Memory empty = shrunk(ttt::empty_memory(model));
  BytesInRam ram;
  ram.add(empty);
  std::vector<ttt::Memory> states;
  ttt::Memory memory = empty.fork(), plain = ttt::empty_memory(model);
  for (const int64_t tokens : {3, 3, 30}) {
    const Tensor text = test::random_tokens(model.config, 1, tokens);
    ttt::read(model, memory, text);
    ttt::read(model, plain, text);
    const uint64_t before = ram.bytes();
    states.push_back(shrunk(memory, empty.W_S));
    ram.add(states.back());
    const bool learned = memory.steps > 0;
    EXPECT_NE(has_weights(states.back(), empty.W_S), learned);
    EXPECT_EQ(ram.bytes() - before, ttt::memory_bytes(memory) - (learned ? 0 : weight_bytes(memory.W_S)));
    test::expect_same_memory(model, states.back(), plain, 0);
  }
  EXPECT_GT(memory.steps, 0);
  test::expect_same_memory(model, empty, ttt::empty_memory(model), 0);  // nobody learned in its place
  ram.remove(empty);
  for (const ttt::Memory& state : states) ram.remove(state);
  EXPECT_EQ(ram.bytes(), 0u);
}

TEST_F(ServedWork, what_had_read_thoughts_and_notes_is_the_same_again_once_its_files_are_gone) {
  std::map<bool, std::string> files;
  for (const bool kept : {true, false}) {
    SCOPED_TRACE(kept);
    const EngineOptions unlimited{.folder = dir_ / (kept ? "kept" : "gone")};
    const std::string rows = (dir_ / (kept ? "kept.db" : "gone.db")).string();
    EngineOptions limited = unlimited;
    limited.memory_budget = limited.disk_budget = 1;
    Json messages = asked("be brief", "hello there");
    std::string state;
    for (int turn = 0; turn < 4; ++turn) {
      const auto e = engine(kept || turn == 3 ? unlimited : limited, rows);
      Prompt noted = prompt(messages);
      if (turn == 1) {
        noted.said = messages;
        noted.messages.back()["content"] = "a note that is long enough to be seen\nand then?";
      }
      const Outcome out = e->run(noted, thoughtful(20, true));
      if (!kept && turn > 0) {
        EXPECT_EQ(out.cached_tokens, 0);
        EXPECT_THAT(out.miss, HasSubstr("read again"));
      }
      EXPECT_GE(out.position, e->count(noted) + 3 * turn + 19) << "the memory has read the thoughts";
      messages = next(messages, out.choices[0].text.substr(3), "and then?");
      if (turn == 3) e->download("", out.choices[0].state, dir_ / "state.memory");
    }
    files[kept] = read_file(dir_ / "state.memory", 1 << 24);
  }
  EXPECT_EQ(files[true], files[false]);
}

TEST_F(ServedWork, what_was_forgotten_is_not_made_again) {
  EngineOptions limited = on_disk();
  limited.memory_budget = 1;
  const auto e = engine(limited, store());
  const Json start = asked("be brief", "hello there");
  const Outcome out = e->run(prompt(start), thoughtful(9, true));
  e->forget("", out.choices[0].state);
  const Outcome on = e->run(prompt(next(start, out.choices[0].text.substr(3), "more")), thoughtful(9, true));
  EXPECT_EQ(on.position, on.prompt_tokens + 8) << "thoughts that were forgotten are not read";
}

}  // namespace
}  // namespace ingrain::serve
