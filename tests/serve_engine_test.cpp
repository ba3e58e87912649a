// The server's engine: what is known is not read again, what is not the caller's is not known, and company changes
// nothing.
#include "serve/engine/engine.h"

#include "serve/engine/job.h"
#include "serve_engine.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace ingrain::serve {
namespace {

using testing::HasSubstr;

using Serving = ServingTest;

TEST_F(Serving, a_conversation_sent_as_a_whole_reads_only_what_is_new) {
  const auto e = engine();
  Json messages = Json::array({message("system", "be brief and kind to everyone"), message("user", "hello there")});
  Outcome first = e->run(prompt(messages), writing(9));
  EXPECT_EQ(first.cached_tokens, 0);
  EXPECT_EQ(first.choices[0].text.size(), 9u);
  EXPECT_EQ(first.choices[0].reason, StopReason::max_tokens);
  for (int turn = 0; turn < 3; ++turn) {
    messages = next(messages, first.choices[0].text, "and then?");
    const Outcome again = e->run(prompt(messages), writing(9));
    // "|<user>and then?|<assistant>", a token a byte.
    EXPECT_EQ(again.prompt_tokens - again.cached_tokens, 28) << turn;
    EXPECT_EQ(again.miss, "");
    first = again;
  }
}

TEST_F(Serving, an_answer_after_what_is_known_equals_the_one_without) {
  Json messages = Json::array({message("system", "be brief"), message("user", "who was it that came in last night")});
  const auto warm = engine();
  for (int turn = 0; turn < 4; ++turn) {
    const Outcome known = warm->run(prompt(messages), writing(20));
    const Outcome fresh = engine()->run(prompt(messages), writing(20));
    EXPECT_EQ(fresh.cached_tokens, 0);
    EXPECT_EQ(known.choices[0].text, fresh.choices[0].text) << turn;
    messages = next(messages, known.choices[0].text, "what did they say to the others");
  }
}

TEST_F(Serving, conversations_share_their_instructions_and_nothing_else) {
  const auto e = engine();
  const Json system = message("system", "you are a careful librarian who knows every book in the house");
  e->run(prompt(Json::array({system, message("user", "first question")})), writing(5));
  const Outcome other = e->run(prompt(Json::array({system, message("user", "something else")})), writing(5));
  EXPECT_EQ(other.prompt_tokens - other.cached_tokens, 26);  // "something else|<assistant>"
}

TEST_F(Serving, every_branch_is_kept) {
  const auto e = engine();
  const Json start = Json::array({message("user", "tell me of the sea")});
  const std::string answer = e->run(prompt(start), writing(8)).choices[0].text;
  const Json left = next(start, answer, "and the ships"), right = next(start, answer, "and the fish");
  const std::string left_answer = e->run(prompt(left), writing(8)).choices[0].text;
  const std::string right_answer = e->run(prompt(right), writing(8)).choices[0].text;
  const Outcome left_on = e->run(prompt(next(left, left_answer, "more")), writing(8));
  const Outcome right_on = e->run(prompt(next(right, right_answer, "more")), writing(8));
  EXPECT_EQ(left_on.prompt_tokens - left_on.cached_tokens, 23);
  EXPECT_EQ(right_on.prompt_tokens - right_on.cached_tokens, 23);
  // The same question again: not a token.
  EXPECT_EQ(e->run(prompt(left), writing(8)).cached_tokens, e->run(prompt(left), writing(8)).prompt_tokens);
}

TEST_F(Serving, what_one_owner_said_is_unknown_to_others) {
  const auto e = engine();
  const Json messages = Json::array({message("system", "a secret of the house"), message("user", "hello")});
  const Outcome mine = e->run(prompt(messages, "alice"), writing(5));
  const Outcome theirs = e->run(prompt(messages, "bob"), writing(5));
  EXPECT_EQ(theirs.cached_tokens, 0);
  EXPECT_THROW(e->info("bob", mine.choices[0].state), NotFound);
  EXPECT_EQ(e->info("alice", mine.choices[0].state).position, mine.position);
  Prompt stolen = prompt(messages, "bob");
  stolen.base = mine.choices[0].state;
  EXPECT_THROW(e->run(stolen, writing(5)), NotFound);
}

TEST_F(Serving, answers_at_once_equal_answers_alone) {
  std::vector<Json> all;
  for (int i = 0; i < 12; ++i)
    all.push_back(
        Json::array({message("user", "question " + std::string(static_cast<size_t>(7 * i), 'a' + i) + " end")}));
  std::vector<std::string> alone, together(all.size());
  for (const Json& messages : all) alone.push_back(engine()->run(prompt(messages), writing(40)).choices[0].text);
  const auto e = engine();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < all.size(); ++i)
    threads.emplace_back([&, i] { together[i] = e->run(prompt(all[i]), writing(40)).choices[0].text; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(together, alone);
}

TEST_F(Serving, after_a_restart_a_conversation_goes_on_to_the_last_bit) {
  Json messages = Json::array({message("user", "a long enough question to fill a chunk or two of the memory")});
  std::string going_on, restarted;
  const auto ask = [&](Engine& e) {
    const Outcome out = e.run(prompt(messages), writing(30));
    EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 24);  // "|<user>again|<assistant>"
    return out.choices[0].text;
  };
  {
    const auto e = engine(on_disk(), store());
    messages = next(messages, e->run(prompt(messages), writing(30)).choices[0].text, "again");
  }
  std::filesystem::copy(dir_ / "states", dir_ / "copy");
  std::filesystem::copy_file(store(), dir_ / "copy.db");
  going_on = ask(*engine(on_disk(), store()));
  restarted = ask(*engine({.folder = dir_ / "copy"}, (dir_ / "copy.db").string()));
  EXPECT_EQ(going_on, restarted);
}

TEST_F(Serving, what_does_not_fit_into_ram_comes_back_from_disk) {
  EngineOptions options = on_disk();
  options.memory_budget = 1;  // nothing fits
  const auto e = engine(options, store());
  Json messages = Json::array({message("user", "hello there")});
  for (int turn = 0; turn < 3; ++turn) {
    const Outcome out = e->run(prompt(messages), writing(9));
    if (turn > 0) {
      EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 28);
    }
    messages = next(messages, out.choices[0].text, "and then?");
  }
  EXPECT_EQ(e->stats().states_in_memory, 0);
}

TEST_F(Serving, without_a_disk_the_budget_forgets_and_says_so) {
  EngineOptions options;
  options.memory_budget = 1;
  const auto e = engine(options);
  Json messages = Json::array({message("user", "hello there")});
  const Outcome first = e->run(prompt(messages), writing(9));
  const Outcome second = e->run(prompt(next(messages, first.choices[0].text, "and then?")), writing(9));
  EXPECT_EQ(second.cached_tokens, 0);
  EXPECT_THAT(second.miss, HasSubstr("nothing that begins so is known"));
}

TEST_F(Serving, a_short_beginning_that_is_not_known_is_a_miss_too) {
  const auto e = engine();
  const Json messages = Json::array({message("user", "a"), message("assistant", "b"), message("user", "and then?")});
  EXPECT_THAT(e->run(prompt(messages), writing(4)).miss, HasSubstr("nothing that begins so is known"));
  Json other = messages;
  other[1]["content"] = "c";  // "<user>a|<assistant>" is known
  e->run(prompt(Json::array({messages[0]})), writing(1));
  EXPECT_THAT(e->run(prompt(other), writing(4)).miss, HasSubstr("tokens only"));
  EXPECT_EQ(e->run(prompt(Json::array({message("user", "of its own")})), writing(4)).miss, "");
}

TEST_F(Serving, what_others_take_of_the_budget_leaves_ram_at_once_and_is_given_back_later) {
  std::atomic<int> given_back = 0;
  EngineOptions options;
  options.on_idle = [&] { ++given_back; };
  const auto e = engine(options);
  e->run(prompt(Json::array({message("user", "hello there")})), writing(4));
  EXPECT_GT(e->stats().states_in_memory, 0);
  const auto soon = [](const std::function<bool()>& what) {
    for (int i = 0; i < 2000 && !what(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return what();
  };
  e->set_outside_bytes(options.memory_budget);
  EXPECT_TRUE(soon([&] { return e->stats().states_in_memory == 0; }));
  EXPECT_TRUE(soon([&] { return given_back > 0; }));
  const int before = given_back;
  e->set_outside_bytes(0);  // without an answer between
  EXPECT_TRUE(soon([&] { return given_back > before; }));
  EXPECT_EQ(e->stats().outside_bytes, 0u);
}

TEST_F(Serving, a_text_that_was_changed_is_read_from_where_it_differs) {
  const auto e = engine();
  Json messages = Json::array({message("system", "be brief"), message("user", "first"), message("assistant", "one"),
                               message("user", "second"), message("assistant", "two"), message("user", "third")});
  e->run(prompt(messages), writing(4));
  messages[4]["content"] = "two and more";
  const Outcome changed = e->run(prompt(messages), writing(4));
  EXPECT_GT(changed.cached_tokens, 0);  // the instructions
  EXPECT_THAT(changed.miss, HasSubstr("tokens only"));
}

TEST_F(Serving, an_answer_that_comes_back_without_its_thoughts_is_known) {
  EngineOptions options = on_disk();
  auto e = engine(options, store());
  Json messages = Json::array({message("system", "be brief"), message("user", "hello there")});
  for (int turn = 0; turn < 4; ++turn) {
    if (turn == 2) {  // and after a restart
      e.reset();
      e = engine(options, store());
    }
    const Outcome out = e->run(prompt(messages), thoughtful(9, true));
    ASSERT_EQ(out.choices[0].reason, StopReason::end_of_text);
    if (turn > 0) {
      EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 28) << turn;  // "|<user>and then?|<assistant>"
      EXPECT_EQ(out.miss, "");
    }
    EXPECT_EQ(out.prompt_tokens, e->count(prompt(messages)) + 3 * turn) << "the memory has read the thoughts";
    EXPECT_EQ(out.position, out.prompt_tokens + 8);
    messages = next(messages, out.choices[0].text.substr(3), "and then?");
  }
}

TEST_F(Serving, the_same_question_again_begins_before_the_answer_whatever_that_was_without_its_thoughts) {
  const auto e = engine();
  const Json messages = Json::array({message("user", "hello there")});
  Writing nothing_but_thoughts = thoughtful(4, true);  // three letters
  const Outcome first = e->run(prompt(messages), nothing_but_thoughts);
  const Outcome again = e->run(prompt(messages), nothing_but_thoughts);
  EXPECT_EQ(again.position, first.position);
  EXPECT_EQ(again.choices[0].text, first.choices[0].text);
}

TEST_F(Serving, thoughts_that_a_limit_cut_are_read_again_without_them) {
  const auto e = engine();
  Json messages = Json::array({message("user", "hello there")});
  const Outcome cut = e->run(prompt(messages), thoughtful(9, false));
  EXPECT_EQ(cut.choices[0].reason, StopReason::max_tokens);
  messages = next(messages, cut.choices[0].text.substr(3), "and then?");
  const Outcome on = e->run(prompt(messages), thoughtful(9, false));
  EXPECT_EQ(on.prompt_tokens - on.cached_tokens, 28 + 6);
}

TEST_F(Serving, thoughts_that_a_client_sends_back_are_not_read_again) {
  write_file(dir_ / "model/chat_template.jinja",
             "{% for m in messages %}<{{ m.role }}>{{ m.reasoning_content or '' }}{{ m.content }}|{% endfor %}"
             "{% if add_generation_prompt %}<assistant>{% endif %}");
  const auto e = engine();
  Json messages = Json::array({message("user", "hello there")});
  const Outcome first = e->run(prompt(messages), thoughtful(9, true));
  messages = next(messages, first.choices[0].text.substr(3), "and then?");
  messages[1]["reasoning_content"] = first.choices[0].text.substr(0, 3);
  const Outcome on = e->run(prompt(messages), thoughtful(9, true));
  EXPECT_EQ(on.prompt_tokens - on.cached_tokens, 28);
}

TEST_F(Serving, notes_before_a_question_are_not_read_again) {
  const auto e = engine();
  Json messages = Json::array({message("user", "hello there")});
  for (int turn = 0; turn < 3; ++turn) {
    Prompt noted = prompt(messages);
    noted.said = messages;
    noted.messages.back()["content"] = "a note that is long enough to be seen\nhello there";
    const Outcome out = e->run(noted, writing(9));
    if (turn > 0) {
      EXPECT_EQ(out.prompt_tokens - out.cached_tokens, 7 + 49 + 12) << turn << out.miss;  // "|<user>", "|<assistant>"
    }
    messages = next(messages, out.choices[0].text, "hello there");
  }
}

TEST_F(Serving, calls_that_come_back_in_the_templates_words_are_known) {
  write_file(dir_ / "model/chat_template.jinja",
             "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}"
             "[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}<|begin_of_text|>{% endfor %}"
             "{% if add_generation_prompt %}<assistant>{% endif %}");
  const auto e = engine();
  Json messages = Json::array({message("user", "hello there")});
  Writing calling = thoughtful(9, true);
  const Json call = {{"id", "call_1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"x\":1}"}}}};
  calling.returned = [&](int64_t, const std::string&) {
    return Json{{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call})}};
  };
  e->run(prompt(messages), calling);
  messages.push_back(calling.returned(0, ""));
  messages.push_back({{"role", "tool"}, {"content", "two"}, {"tool_call_id", "call_1"}});
  const Outcome on = e->run(prompt(messages), writing(3));
  EXPECT_EQ(on.prompt_tokens - on.cached_tokens, 1 + 9 + 1 + 11) << on.miss;  // end, "<tool>two", end, "<assistant>"
}

TEST_F(Serving, an_answer_goes_on_from_a_beginning_that_it_was_given) {
  const auto e = engine();
  const Json messages = Json::array({message("user", "hello there")});
  const std::string whole = e->run(prompt(messages), writing(9)).choices[0].text;
  Prompt begun = prompt(messages);
  begun.messages.push_back(message("assistant", whole.substr(0, 4)));
  begun.continues = true;
  const Outcome rest = engine()->run(begun, writing(5));
  EXPECT_EQ(whole.substr(0, 4) + rest.choices[0].text, whole);
  EXPECT_EQ(e->run(begun, writing(5)).choices[0].text, rest.choices[0].text);
  const Outcome on = e->run(prompt(next(messages, whole, "and then?")), writing(3));
  EXPECT_EQ(on.prompt_tokens - on.cached_tokens, 28);
}

TEST_F(Serving, choices_go_on_from_one_reading) {
  const auto e = engine();
  Writing three = writing(12);
  three.choices = 3;
  three.sampling.temperature = 1;
  three.sampling.seed = 7;
  const Json messages = Json::array({message("user", "hello")});
  std::map<int64_t, std::string> streamed;
  const Outcome out = e->run(prompt(messages), three, [&](const Event& event) {
    if (event.kind == Event::Kind::text) streamed[event.choice] += event.text;
    return true;
  });
  ASSERT_EQ(out.choices.size(), 3u);
  EXPECT_NE(out.choices[0].text, out.choices[1].text);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(streamed[static_cast<int64_t>(i)], out.choices[i].text);
    Writing one = three;
    one.choices = 1;
    one.sampling.seed = 7 + i;
    EXPECT_EQ(engine()->run(prompt(messages), one).choices[0].text, out.choices[i].text);
  }
}

TEST_F(Serving, scores_are_those_of_the_model_and_one_a_token) {
  const auto e = engine();
  Writing scored = writing(6);
  scored.top_logprobs = 2;
  std::vector<WrittenToken> tokens;
  const Outcome out = e->run(prompt(Json::array({message("user", "hello")})), scored, [&](const Event& event) {
    tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
    return true;
  });
  ASSERT_EQ(tokens.size(), 6u);
  std::string bytes;
  for (const WrittenToken& token : tokens) {
    bytes += token.token.bytes;
    ASSERT_EQ(token.top.size(), 2u);
    EXPECT_LE(token.token.logprob, token.top[0].logprob);
    EXPECT_LE(token.top[1].logprob, token.top[0].logprob);
    EXPECT_LT(token.top[0].logprob, 0);
  }
  EXPECT_EQ(bytes, out.choices[0].text);
}

TEST(ServingJob, the_first_end_counts) {
  Job job;
  job.finish(std::make_exception_ptr(NotFound("gone")));
  job.finish();
  EXPECT_THROW(job.next(), NotFound);
}

TEST_F(Serving, no_tokens_are_no_tokens) {
  const auto e = engine();
  const Outcome out = e->run(prompt(Json::array({message("user", "hello")})), writing(0));
  EXPECT_EQ(out.choices[0].tokens, 0);
  EXPECT_EQ(out.choices[0].text, "");
  EXPECT_EQ(out.choices[0].reason, StopReason::max_tokens);
}

TEST_F(Serving, a_caller_who_has_left_ends_the_answer_and_what_was_written_is_known) {
  const auto e = engine();
  const Json messages = Json::array({message("user", "hello")});
  std::string seen;
  const Outcome out = e->run(prompt(messages), writing(100000), [&](const Event& event) {
    seen += event.text;
    return seen.size() < 5;
  });
  EXPECT_EQ(out.choices[0].reason, StopReason::interrupted);
  EXPECT_LT(out.choices[0].tokens, 100000);
  const Outcome on = e->run(prompt(next(messages, out.choices[0].text, "more")), writing(3));
  EXPECT_EQ(on.prompt_tokens - on.cached_tokens, 23);
}

TEST_F(Serving, a_memory_that_was_read_is_where_conversations_begin) {
  const auto e = engine();
  int64_t steps = 0;
  const auto book =
      e->read("", "", "it was a dark and stormy night, and nobody was at home but the cat", [&](const Event& event) {
        steps += event.kind == Event::Kind::step;
        return true;
      });
  EXPECT_EQ(book.tokens, 67);  // bos, and a token a byte
  EXPECT_EQ(book.steps, steps);
  EXPECT_TRUE(std::isfinite(book.mean_nll));
  Prompt with = prompt(Json::array({message("user", "who was at home")}));
  with.base = book.state;
  const Outcome out = e->run(with, writing(6));
  EXPECT_EQ(out.position, 67 + out.prompt_tokens + 6);
  EXPECT_EQ(e->run(with, writing(6)).cached_tokens, out.prompt_tokens);
  EXPECT_EQ(e->info("", book.state).position, 67);  // it stays as it is
  // As a file, and back.
  e->download("", book.state, dir_ / "book.memory");
  Prompt copied = with;
  copied.base = e->upload("", dir_ / "book.memory");
  EXPECT_EQ(e->run(copied, writing(6)).choices[0].text, out.choices[0].text);
}

TEST_F(Serving, too_many_are_told_to_come_back_and_an_end_keeps_what_was_written) {
  EngineOptions options;
  options.max_running = 1;
  options.max_waiting = 1;
  const auto e = engine(options);
  std::vector<std::thread> threads;
  std::atomic<int> interrupted = 0, busy = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      try {
        const Outcome out = e->run(prompt(Json::array({message("user", "hello")})), writing(1 << 30));
        interrupted += out.choices[0].reason == StopReason::interrupted;
      } catch (const Busy&) {
        ++busy;
      }
    });
  while (busy < 1) std::this_thread::yield();
  e->finish(0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(interrupted + busy, 4);
  EXPECT_GE(interrupted, 1);
}

}  // namespace
}  // namespace ingrain::serve
