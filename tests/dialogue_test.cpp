// Dialogues: after every turn a memory has read what the template writes, whatever that drops, repeats or closes.
#include "ingrain/ingrain.h"

#include "base/files.h"
#include "chat/conversation.h"
#include "scratch.h"
#include "store/model_files.h"
#include "tiny_model.h"

#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <atomic>

namespace ingrain {
namespace {

constexpr int64_t kTalkChunk = 16;

// One that keeps all, one that drops an earlier answer's beginning, one that repeats the latest question, one whose
// last turn decides what the first looks like.
const char* const kTemplates[] = {
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}|{% endfor %}{% if add_generation_prompt %}>{% endif %}",
    "{% for m in messages %}{% if m.role == 'assistant' and not loop.last %}[{{ m.content[2:] }}]{% else %}({{ "
    "m.content "
    "}}){% endif %}{% endfor %}{% if add_generation_prompt %}[{% endif %}",
    "{{ messages[-1].content }}!{% for m in messages %}<{{ m.content | trim }}>{% endfor %}{% if add_generation_prompt "
    "%}<{% endif %}",
    "{{ messages | length }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
};

class Dialogues : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    ModelConfig c = test::tiny_config({.window = 12, .chunk = kTalkChunk});
    c.vocab_size = 257;
    c.bos_id = 0;
    c.eos_ids = {0};
    save_model(dir_, c, initial_weights(c, 5), at::kFloat);
    std::filesystem::copy_file(std::filesystem::path(INGRAIN_EXAMPLES) / "tiny-book/tokenizer.json",
                               dir_ / "tokenizer.json");
  }
  Model model(const char* source = nullptr) const {
    if (source) write_file(dir_ / "chat_template.jinja", source);
    return Model::load(dir_, {.dtype = "fp64"});
  }
  static GenerateOptions writing(int64_t tokens) {
    GenerateOptions out;
    out.sampling.temperature = 0;
    out.max_tokens = tokens;
    out.sampling.logit_bias = test::only_letters();
    return out;
  }
  static std::vector<float> scores(Memory memory) { return Reader(memory).read("what comes next").nll; }
  /// A memory that has read the template of these messages and nothing else.
  static Memory fresh(const Model& model, const char* source, const std::vector<Message>& messages,
                      bool answer_follows) {
    chat::Conversation all({source, {}, {}});
    for (const Message& message : messages) all.add(message.role, message.content);
    Memory out(model);
    Reader(out, {.begin_text = false}).read(chat::text_of(all.render(answer_follows)));
    return out;
  }
  static void expect_same(const Memory& a, const Memory& b) {
    EXPECT_EQ(a.position(), b.position());
    EXPECT_EQ(a.steps(), b.steps());
    const auto x = scores(a), y = scores(b);
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-6) << i;
  }
};

TEST_F(Dialogues, the_memory_is_that_of_the_templates_rendering_after_every_turn) {
  for (const char* source : kTemplates) {
    SCOPED_TRACE(source);
    const Model m = model(source);
    Dialogue talk((Memory(m)));
    for (int turn = 0; turn < 4; ++turn) {
      talk.say("user", "question " + std::to_string(turn * turn));
      const Answer none = talk.answer(writing(0));  // reads up to where the answer begins
      EXPECT_EQ(none.tokens_written, 0);
      std::vector<Message> messages = talk.messages();
      messages.pop_back();  // the empty answer
      expect_same(talk.memory(), fresh(m, source, messages, true));
      ASSERT_TRUE(talk.undo());
      talk.say("user", "question " + std::to_string(turn * turn));
      EXPECT_EQ(talk.answer(writing(9)).tokens_written, 9);
    }
  }
}

TEST_F(Dialogues, what_a_template_drops_is_counted_and_leaves_the_memory) {
  const Model m = model(kTemplates[1]);
  Dialogue talk((Memory(m)));
  talk.say("user", "one");
  talk.answer(writing(6));
  const int64_t before = talk.memory().position();
  EXPECT_EQ(talk.tokens_dropped(), 0);
  talk.say("user", "two");
  const Answer answer = talk.answer(writing(6));
  EXPECT_EQ(talk.tokens_dropped(), 2) << "two letters of six";
  // Back to the answer's beginning: its last four letters, "](two)[" are read.
  EXPECT_EQ(answer.tokens_read, 4 + 7);
  EXPECT_EQ(talk.memory().position(), before - 2 + 7 + 6);
}

TEST_F(Dialogues, an_answer_that_a_limit_ended_is_closed) {
  const Model m = model(kTemplates[0]);
  Dialogue talk((Memory(m)));
  talk.say("user", "one");
  const Answer answer = talk.answer(writing(4));
  EXPECT_EQ(answer.reason, StopReason::max_tokens);
  const int64_t position = talk.memory().position();
  talk.close();
  talk.close();
  // The template writes "<assistant>" before an answer that is there, ">" before one that follows.
  EXPECT_EQ(talk.memory().position(), position);
  const Model closes =
      model("{% for m in messages %}>{{ m.content }}|{% endfor %}{% if add_generation_prompt %}>{% endif %}");
  Dialogue other((Memory(closes)));
  other.say("user", "one");
  other.answer(writing(4));
  other.close();
  other.close();
  expect_same(other.memory(),
              fresh(closes, "{% for m in messages %}>{{ m.content }}|{% endfor %}", other.messages(), false));
}

TEST_F(Dialogues, undo_gives_back_the_memory_and_the_messages_bit_for_bit) {
  const Model m = model(kTemplates[1]);
  Dialogue talk((Memory(m)));
  std::vector<std::vector<float>> before;
  for (int turn = 0; turn < 3; ++turn) {
    before.push_back(talk.memory().position() > 0 ? scores(talk.memory()) : std::vector<float>());
    talk.say("user", "question " + std::to_string(turn));
    talk.answer(writing(7));
  }
  for (int turn = 2; turn >= 0; --turn) {
    EXPECT_TRUE(talk.undo());
    EXPECT_EQ(talk.messages().size(), static_cast<size_t>(2 * turn));
    if (turn > 0) {
      EXPECT_EQ(scores(talk.memory()), before[static_cast<size_t>(turn)]);
    }
  }
  EXPECT_EQ(talk.memory().position(), 0);
  EXPECT_FALSE(talk.undo());
}

TEST_F(Dialogues, a_refusal_or_a_stop_leaves_everything_as_it_was) {
  const Model m = model(
      "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('never') }}{% endif %}<{{ m.content }}>{% "
      "endfor "
      "%}");
  Dialogue talk((Memory(m)));
  talk.say("user", "yes");
  talk.answer(writing(5));
  const auto then = scores(talk.memory());
  talk.say("user", "no");
  EXPECT_THROW(talk.answer(writing(5)), Error);
  EXPECT_EQ(talk.messages().size(), 2u);
  EXPECT_EQ(scores(talk.memory()), then);
  GenerateOptions stopped = writing(5);
  stopped.keep_going = [] { return false; };
  talk.say("user", std::string(5000, 'x'));
  EXPECT_EQ(talk.answer(stopped).reason, StopReason::interrupted);
  talk.say("user", "and now");
  EXPECT_EQ(talk.answer(writing(5)).reason, StopReason::max_tokens);
}

TEST_F(Dialogues, state_goes_on_where_it_ended_with_the_memory_or_without) {
  const Model m = model(kTemplates[1]);
  Memory base(m);
  Reader(base).read("a book that was read before");
  Dialogue talk(base);
  talk.say("user", "one");
  talk.answer(writing(6));
  const std::string state = talk.state();
  const Memory left = talk.memory();
  talk.say("user", "two");
  const Answer next = talk.answer(writing(6));
  for (const Memory* as_left : {&left, static_cast<const Memory*>(nullptr)}) {
    Dialogue again(base);
    again.restore(state, writing(6), as_left);
    again.say("user", "two");
    EXPECT_EQ(again.answer(writing(6)).text, next.text);
    expect_same(again.memory(), talk.memory());
  }
  Dialogue other((Memory(m)));
  EXPECT_THAT([&] { other.restore(state, writing(6)); }, testing::ThrowsMessage<Error>(testing::HasSubstr("position")));
  EXPECT_THROW(other.restore("{}", writing(6)), Error);
  EXPECT_THROW(other.restore(state.substr(0, state.size() / 2), writing(6)), Error);
}

TEST_F(Dialogues, undo_takes_back_also_what_was_said_before_the_dialogue_was_restored) {
  for (const char* source : {kTemplates[0], kTemplates[1]}) {  // one that keeps all, one that drops
    SCOPED_TRACE(source);
    const Model m = model(source);
    Memory base(m);
    Reader(base).read("a book that was read before");
    Dialogue talk(base);
    std::vector<Memory> before;
    std::vector<std::vector<Message>> said;
    std::vector<int64_t> dropped;
    for (int turn = 0; turn < 3; ++turn) {
      before.push_back(talk.memory());
      said.push_back(talk.messages());
      dropped.push_back(talk.tokens_dropped());
      talk.say("user", "question " + std::to_string(turn * turn));
      talk.answer(writing(7));
    }
    const std::string state = talk.state();
    const Memory left = talk.memory();
    for (const Memory* as_left : {&left, static_cast<const Memory*>(nullptr)}) {
      Dialogue again(base);
      again.restore(state, writing(7), as_left);
      again.say("user", "and");
      again.answer(writing(7));
      ASSERT_TRUE(again.undo());
      for (size_t turn = 3; turn-- > 0;) {
        ASSERT_TRUE(again.undo(writing(7)));
        EXPECT_EQ(again.messages(), said[turn]);
        expect_same(again.memory(), before[turn]);
        EXPECT_EQ(again.tokens_dropped(), dropped[turn]);
      }
      EXPECT_FALSE(again.undo());
    }
  }
}

TEST_F(Dialogues, undo_goes_back_further_than_copies_are_kept) {
  const Model m = model(kTemplates[1]);
  Dialogue talk((Memory(m)));
  for (int turn = 0; turn < 20; ++turn) {
    talk.say("user", "question " + std::to_string(turn));
    talk.answer(writing(3));
  }
  for (size_t turn = 20; turn-- > 2;) {
    ASSERT_TRUE(talk.undo()) << turn;
    EXPECT_EQ(talk.messages().size(), 2 * turn);
  }
  Dialogue fewer((Memory(m)));
  for (int turn = 0; turn < 2; ++turn) {
    fewer.say("user", "question " + std::to_string(turn));
    fewer.answer(writing(3));
  }
  EXPECT_EQ(talk.messages(), fewer.messages());
  expect_same(talk.memory(), fewer.memory());
}

TEST_F(Dialogues, undo_that_is_stopped_while_it_reads_changes_nothing) {
  const Model m = model(kTemplates[0]);
  Dialogue talk((Memory(m)));
  for (const std::string& question : {std::string(5000, 'x'), std::string("two")}) {
    talk.say("user", question);
    talk.answer(writing(6));
  }
  const Memory left = talk.memory();
  Dialogue again((Memory(m)));
  again.restore(talk.state(), writing(6), &left);
  GenerateOptions stopped = writing(6);
  stopped.keep_going = [] { return false; };
  EXPECT_THROW(again.undo(stopped), Error);
  EXPECT_EQ(again.messages().size(), 4u);
  EXPECT_EQ(again.memory().position(), left.position());
  EXPECT_TRUE(again.undo());
  EXPECT_EQ(again.messages().size(), 2u);
  Dialogue none((Memory(m)), {.keep = 0});
  none.restore(talk.state(), writing(6), &left);
  EXPECT_FALSE(none.undo());
}

TEST_F(Dialogues, a_state_whose_exchanges_share_more_than_there_is_is_refused) {
  const Model m = model(kTemplates[0]);
  Dialogue talk((Memory(m)));
  talk.say("user", "one");
  talk.answer(writing(6));
  auto state = nlohmann::ordered_json::parse(talk.state());
  ASSERT_EQ(state["exchanges"].size(), 1u);
  for (const char* field : {"same_tokens", "same_messages"}) {
    auto wrong = state;
    wrong["exchanges"][0][field] = 1000;
    Dialogue again((Memory(m)));
    EXPECT_THAT([&] { again.restore(wrong.dump(), writing(6)); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("more than there is")));
  }
  state.erase("exchanges");  // as older versions wrote it
  Dialogue again((Memory(m)));
  again.restore(state.dump(), writing(6));
  EXPECT_EQ(again.messages().size(), 2u);
  EXPECT_FALSE(again.undo());
}

TEST_F(Dialogues, an_aside_is_read_before_the_answer_and_is_not_in_the_memory) {
  for (const char* source : kTemplates) {
    SCOPED_TRACE(source);
    const Model m = model(source);
    Dialogue talk((Memory(m))), plain((Memory(m))), told((Memory(m)));
    for (int turn = 0; turn < 3; ++turn) {
      const std::string question = "question " + std::to_string(turn * turn);
      talk.say("user", question);
      talk.aside("notes: the <moon> is made of cheese");
      const std::vector<double> expected = talk.scores({"a", "b"}, writing(9));
      const Answer answer = talk.answer(writing(9));
      EXPECT_EQ(answer.tokens_written, 9);
      // The copy had read the aside as the beginning of the question.
      told.set_messages([&] {
        auto messages = talk.messages();
        messages.pop_back();
        messages.back().content = "notes: the <moon> is made of cheese\n\n" + question;
        return messages;
      }());
      const std::vector<double> known = told.scores({"a", "b"}, writing(9));
      EXPECT_NEAR(expected[0], known[0], 1e-4);
      EXPECT_NEAR(expected[1], known[1], 1e-4);
      // The memory reads what it would have read without, the same answer given.
      std::vector<Message> messages = talk.messages();
      EXPECT_EQ(messages[messages.size() - 2].content, question);
      EXPECT_EQ(messages.back().content, answer.text);
      talk.say("user", "and");
      const Answer none = talk.answer(writing(0));
      messages.push_back({"user", "and"});
      expect_same(talk.memory(), fresh(m, source, messages, true));
      EXPECT_EQ(none.tokens_written, 0);
      ASSERT_TRUE(talk.undo());
    }
  }
}

TEST_F(Dialogues, an_aside_is_for_one_answer) {
  const Model m = model(kTemplates[0]);
  Dialogue talk((Memory(m))), plain((Memory(m)));
  talk.say("user", "one");
  talk.aside("notes");
  const Answer first = talk.answer(writing(6));
  plain.say("user", "one");
  plain.answer(writing(0));
  EXPECT_GT(first.tokens_read, plain.memory().position());
  ASSERT_TRUE(talk.undo());
  ASSERT_TRUE(plain.undo());
  talk.say("user", "one");
  plain.say("user", "one");
  EXPECT_EQ(talk.answer(writing(6)).text, plain.answer(writing(6)).text);
  EXPECT_EQ(scores(talk.memory()), scores(plain.memory()));
}

TEST_F(Dialogues, without_a_template_an_aside_stands_before_the_question) {
  const Model m = model();
  Dialogue talk((Memory(m))), told((Memory(m)));
  talk.say("user", "Who?");
  talk.aside("Notes.");
  told.set_messages({{"system", "Notes."}, {"user", "Who?"}});
  EXPECT_EQ(talk.scores({"abc"}, writing(4)), told.scores({"abc"}, writing(4)));
  EXPECT_EQ(talk.answer(writing(4)).tokens_read, 1 + 24 + 8);
  EXPECT_EQ(talk.memory().position(), 1 + 24 + 4);
}

TEST_F(Dialogues, scores_of_answers_are_their_tokens_log_probabilities) {
  const Model m = model(kTemplates[0]);
  Dialogue talk((Memory(m)));
  talk.say("user", "one");
  std::vector<std::string> letters, words{"ab", "a"};
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(1, c);
  const std::vector<double> of_letters = talk.scores(letters, writing(1)), of_words = talk.scores(words, writing(1));
  EXPECT_NEAR(of_words[1], of_letters[0], 1e-6);
  EXPECT_LT(of_words[0], of_words[1]);
  double sum = 0;
  for (const double x : of_letters) sum += std::exp(x);
  EXPECT_LT(sum, 1);
  EXPECT_GT(sum, 0.01);
  EXPECT_EQ(talk.memory().position(), 0);
  const std::string best =
      letters[static_cast<size_t>(std::max_element(of_letters.begin(), of_letters.end()) - of_letters.begin())];
  EXPECT_EQ(talk.answer(writing(1)).text, best);
  Memory read = fresh(m, kTemplates[0], {{"user", "one"}}, true);
  const auto nll = Reader(read).read(std::vector<int32_t>{'a' + 1, 'b' + 1}).nll;
  EXPECT_NEAR(of_words[0], -nll[0] - nll[1], 1e-5);
  EXPECT_THROW(talk.scores({""}, writing(1)), Error);
}

std::atomic<int64_t> operations_seen{0};
std::unique_ptr<at::ObserverContext> see_operation(const at::RecordFunction&) {
  ++operations_seen;
  return nullptr;
}

/// How many operations of libtorch `work` makes in this thread.
template <class Work>
int64_t operations_of(const Work& work) {
  const at::RecordFunctionGuard on(true);
  const int64_t before = operations_seen;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(see_operation));
  work();
  at::removeCallback(handle);
  return operations_seen - before;
}

TEST_F(Dialogues, an_answer_after_scores_is_the_same_and_reads_nothing_again) {
  for (const bool aside : {false, true}) {
    SCOPED_TRACE(aside);
    const Model m = model(kTemplates[0]);
    Dialogue scored((Memory(m))), plain((Memory(m)));
    const auto both_say = [&](const char* question) {
      for (Dialogue* talk : {&scored, &plain}) {
        talk->say("user", question);
        if (aside) talk->aside("notes");
      }
    };
    both_say("a question");
    scored.scores({"a"}, writing(0));
    Answer known, read;
    const int64_t of_known = operations_of([&] { known = scored.answer(writing(0)); });
    const int64_t of_read = operations_of([&] { read = plain.answer(writing(0)); });
    EXPECT_LT(of_known, aside ? of_read : of_read / 4);
    EXPECT_EQ(known.tokens_read, read.tokens_read);
    EXPECT_EQ(scores(scored.memory()), scores(plain.memory()));
    // What was read for one question, or learnt from, is of no use to another.
    both_say("one");
    scored.scores({"a"}, writing(0));
    for (Dialogue* talk : {&scored, &plain}) talk->set_messages({{"user", "another"}});
    EXPECT_EQ(scored.answer(writing(6)).text, plain.answer(writing(6)).text);
    both_say("and");
    scored.scores({"a"}, writing(0));
    GenerateOptions unlearnt = writing(6);
    unlearnt.learn = Learn::off;
    EXPECT_EQ(scored.answer(unlearnt).text, plain.answer(unlearnt).text);
    EXPECT_EQ(scores(scored.memory()), scores(plain.memory()));
    // Nor after what was read has been taken back.
    both_say("more");
    scored.scores({"a"}, writing(0));
    for (Dialogue* talk : {&scored, &plain}) {
      ASSERT_TRUE(talk->undo());
      talk->say("user", "more");
    }
    EXPECT_EQ(scored.answer(writing(6)).text, plain.answer(writing(6)).text);
    EXPECT_EQ(scores(scored.memory()), scores(plain.memory()));
  }
}

TEST_F(Dialogues, models_without_a_template_get_questions_and_answers_after_a_beginning_of_text) {
  const Model m = model();
  Dialogue talk((Memory(m)));
  talk.say("user", "Who?");
  EXPECT_EQ(talk.answer(writing(0)).tokens_read, 1 + 24);  // "\n\nQuestion: Who?\nAnswer:"
  talk.undo();
  talk.say("user", "Who?");
  GenerateOptions stop = writing(8);
  stop.stop = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
               "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};
  EXPECT_EQ(talk.answer(stop).reason, StopReason::stop_string);
  talk.say("user", "Where?");
  talk.answer(writing(0));
  Memory expected(m);
  Reader(expected).read("\n\nQuestion: Who?\nAnswer:\n\nQuestion: Where?\nAnswer:");
  expect_same(talk.memory(), expected);
}

TEST_F(Dialogues, a_memory_finds_its_model_among_the_places) {
  const Model m = model();
  Memory memory(m);
  Reader(memory).read("text");
  memory.save(dir_ / "it.memory");
  // A place of its own: models of other tests lie beside dir_.
  const std::filesystem::path places[] = {dir_ / "places"}, there = places[0] / "one";
  std::filesystem::create_directories(there);
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"})
    std::filesystem::copy_file(dir_ / file, there / file);
  EXPECT_EQ(model_of_memory(dir_ / "it.memory", places), there);
  EXPECT_THAT([&] { model_of_memory(dir_ / "it.memory", {}); },
              testing::ThrowsMessage<Error>(testing::HasSubstr(m.fingerprint())));
}

}  // namespace
}  // namespace ingrain
