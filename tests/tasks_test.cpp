// The tasks: what they ask, what they count as an answer, and that their lengths are what was asked for.
#include "base/error.h"
#include "base/interval.h"
#include "tasks/babi/babi.h"
#include "tasks/facts.h"
#include "tasks/mqar.h"
#include "tasks/ruler/ruler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

namespace ingrain::tasks {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Some 2,000 sentences of made-up words.
std::string made_up_book() {
  data::SplitMix64 random(7);
  const auto word = [&] {
    std::string out;
    for (uint64_t n = 4 + random.below(5); n > 0; --n) out += static_cast<char>('a' + random.below(26));
    return out;
  };
  std::string out;
  for (int paragraph = 0; paragraph < 500; ++paragraph) {
    for (int sentence = 0; sentence < 4; ++sentence) {
      out += "So";
      for (int i = 0; i < 10; ++i) out += (i % 5 == 4 ? "\n" : " ") + word();
      out += sentence == 2 ? "!\" " : ". ";
    }
    out += "\n\n";
  }
  return out;
}

const Book& book() {
  static const Book out(made_up_book(), "book");
  return out;
}

/// Words and what is between them: a token is at least a byte.
int64_t count_words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::string word;
  int64_t out = 0;
  while (in >> word) ++out;
  return out;
}

size_t occurrences(const std::string& text, const std::string& of) {
  size_t out = 0;
  for (size_t at = 0; (at = text.find(of, at)) != text.npos; at += of.size()) ++out;
  return out;
}

TEST(Interval, is_students) {
  // Tables of Student's t, 97.5 %.
  EXPECT_NEAR(t_quantile(1), 12.7062, 1e-3);
  EXPECT_NEAR(t_quantile(2), 4.3027, 1e-3);
  EXPECT_NEAR(t_quantile(3), 3.1824, 0.02);
  EXPECT_NEAR(t_quantile(5), 2.5706, 0.003);
  EXPECT_NEAR(t_quantile(10), 2.2281, 5e-4);
  EXPECT_NEAR(t_quantile(30), 2.0423, 1e-4);
  EXPECT_NEAR(t_quantile(1000), 1.9623, 1e-4);
  const std::vector<double> values{1, 2, NAN, 3, 6, INFINITY};
  const MeanInterval x = mean_interval(values);
  EXPECT_EQ(x.count, 4);
  EXPECT_DOUBLE_EQ(x.mean, 3);
  EXPECT_NEAR(x.half, 3.1824 * std::sqrt(14.0 / 3 / 4), 0.02);
  EXPECT_TRUE(std::isnan(mean_interval({}).mean));
  EXPECT_TRUE(std::isnan(mean_interval(std::vector<double>{1.0}).half));
}

TEST(Tasks, an_answer_is_found_whatever_its_case) {
  EXPECT_EQ(contained("It is QUERY-Nine, I think", {"query-nine"}), 1);
  EXPECT_EQ(contained("one, three", {"one", "two", "three", "four"}), 0.5);
  EXPECT_EQ(contained("", {"x"}), 0);
  EXPECT_EQ(contained("x", {}), 0);
}

TEST(Tasks, a_book_has_sentences_paragraphs_and_words) {
  EXPECT_EQ(book().sentences().size(), 2000u);
  for (const std::string& s : book().sentences()) {
    EXPECT_EQ(s.find('\n'), s.npos);
    EXPECT_THAT(s, StartsWith("So "));
  }
  EXPECT_EQ(book().paragraphs().size(), 500u);
  std::string dos;
  for (const char c : made_up_book()) dos += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(Book(dos, "dos.txt").paragraphs(), book().paragraphs());
  EXPECT_GT(book().words().size(), 10000u);
  EXPECT_THROW(Book("Too short. ", "short.txt"), Error);
}

const SizedTask& any_task(const std::string& name) {
  return find_task(name.starts_with("qa") ? babi_tasks() : ruler_tasks(), name);
}

class Sized : public ::testing::TestWithParam<std::string> {};

TEST_P(Sized, fills_the_length_and_holds_its_answers) {
  const SizedTask& task = any_task(GetParam());
  for (const int64_t length : {1024, 4096}) {
    const Task made = fit(task, book(), length, 3, count_words);
    const int64_t used = count_words(made.prompt + made.answer_prefix) + task.answer_tokens;
    EXPECT_LE(used, length);
    EXPECT_GE(used, length * 9 / 10) << "one more unit of haystack would fit";
    ASSERT_FALSE(made.answers.empty());
    for (const std::string& answer : made.answers) EXPECT_THAT(made.prompt, HasSubstr(answer));
    EXPECT_EQ(contained(made.prompt, made.answers), 1);
    EXPECT_EQ(contained(made.answer_prefix, made.answers), 0) << "the answer would be given away";
    const Task again = fit(task, book(), length, 3, count_words), other = fit(task, book(), length, 4, count_words);
    EXPECT_EQ(again.prompt, made.prompt);
    EXPECT_NE(other.prompt, made.prompt);
  }
  EXPECT_THROW(fit(task, book(), 40, 3, count_words), Error);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const SizedTask& task : ruler_tasks()) out.push_back(task.name);
  return out;
}
std::vector<std::string> names_of_all() {
  std::vector<std::string> out = names();
  for (const SizedTask& task : babi_tasks()) out.push_back(task.name);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Tasks, Sized, ::testing::ValuesIn(names_of_all()), [](const auto& of) { return of.param; });

TEST(Tasks, ruler_has_its_eleven_tasks) {
  EXPECT_THAT(names(),
              ElementsAre("niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2",
                          "niah_multikey_3", "niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe"));
  EXPECT_THROW(find_task(ruler_tasks(), "qa_1"), UsageError);
}

TEST(Tasks, needles_are_as_many_as_the_task_says) {
  const auto made = [](const char* name) { return fit(find_task(ruler_tasks(), name), book(), 2048, 1, count_words); };
  const std::string needle = "One of the special magic ";
  EXPECT_EQ(occurrences(made("niah_single_2").prompt, needle), 1u);
  EXPECT_EQ(occurrences(made("niah_multikey_1").prompt, needle), 4u);
  const Task values = made("niah_multivalue"), queries = made("niah_multiquery");
  EXPECT_EQ(values.answers.size(), 4u);
  EXPECT_EQ(occurrences(values.prompt, needle), 4u);
  EXPECT_EQ(queries.answers.size(), 4u);
  EXPECT_EQ(occurrences(queries.prompt, ", and "), 1u);
  EXPECT_GT(occurrences(made("niah_multikey_2").prompt, needle), 100u);
}

TEST(Tasks, variables_form_one_chain) {
  const Task made = fit(find_task(ruler_tasks(), "vt"), book(), 2048, 1, count_words);
  ASSERT_EQ(made.answers.size(), 5u);
  size_t at = made.prompt.find("VAR " + made.answers[0] + " = ");
  for (size_t i = 1; i < made.answers.size(); ++i) {
    const size_t next = made.prompt.find("VAR " + made.answers[i] + " = VAR " + made.answers[i - 1]);
    ASSERT_NE(next, made.prompt.npos);
    EXPECT_GT(next, at);
    at = next;
  }
}

TEST(Tasks, the_common_words_are_the_common_ones) {
  for (const int64_t length : {2048, 8192}) {
    const Task made = fit(find_task(ruler_tasks(), "cwe"), book(), length, 1, count_words);
    const std::string list = made.prompt.substr(made.prompt.rfind("Below is"));
    std::map<std::string, int> times;
    std::istringstream in(list);
    for (std::string word; in >> word;) ++times[word];
    for (const std::string& answer : made.answers) EXPECT_EQ(times[answer], length < 4096 ? 6 : 30) << answer;
  }
  const Task coded = fit(find_task(ruler_tasks(), "fwe"), book(), 2048, 1, count_words);
  std::map<std::string, int> times;
  std::istringstream in(coded.prompt);
  for (std::string word; in >> word;) ++times[word];
  EXPECT_GT(times[coded.answers[0]], times[coded.answers[1]]);
  EXPECT_GT(times[coded.answers[1]], times[coded.answers[2]]);
  EXPECT_GT(times["..."], times[coded.answers[0]]);
}

/// What a reader of the story answers who knows nothing of the simulator.
TEST(Stories, are_answered_by_who_reads_them) {
  data::SplitMix64 random(3);
  for (int n = 0; n < 300; ++n) {
    for (const int task : {1, 2, 3}) {
      const Story story = tell_story(task, random);
      std::map<std::string, std::string> place, holder;  // of people and of things; who carries a thing
      std::map<std::string, std::vector<std::string>> way;
      const auto moved = [&](const std::string& thing, const std::string& to) {
        if (way[thing].empty() || way[thing].back() != to) way[thing].push_back(to);
      };
      for (const std::string& sentence : story.sentences) {
        std::istringstream in(sentence);
        std::string who, verb, the, what, there;
        in >> who >> verb;
        if (verb == "went") {
          in >> the >> the >> what;
          place[who] = what.substr(0, what.size() - 1);
          for (const auto& [thing, by] : holder)
            if (by == who) moved(thing, place[who]);
        } else {
          in >> the >> what >> there;
          if (verb == "took") {
            holder[what] = who;
            moved(what, place.at(who));
          } else {
            ASSERT_EQ(holder.at(what), who);
            holder.erase(what);
          }
        }
      }
      std::istringstream in(story.question.substr(0, story.question.size() - 1));
      std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
      if (task == 1)
        EXPECT_EQ(story.answer, place.at(words.back()));
      else if (task == 2)
        EXPECT_EQ(story.answer, way.at(words.back()).back());
      else {
        const auto& places = way.at(words[3]);
        EXPECT_EQ(places.back(), words.back());
        EXPECT_EQ(story.answer, places[places.size() - 2]);
      }
    }
    const Story map = tell_story(4, random), gift = tell_story(5, random);
    std::istringstream in(map.question);
    std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    const std::string statement = words.back() == "of?"
                                      ? fmt::format("The {} is {} of the {}.", words[3], words[4], map.answer)
                                      : fmt::format("The {} is {} of the {}.", map.answer, words[2],
                                                    words.back().substr(0, words.back().size() - 1));
    EXPECT_THAT(map.sentences, ::testing::Contains(statement)) << map.question;
    const bool who = gift.question.starts_with("Who gave");
    std::istringstream of(gift.question.substr(0, gift.question.size() - 1));
    words.assign(std::istream_iterator<std::string>(of), {});
    EXPECT_THAT(gift.sentences,
                ::testing::Contains(who ? fmt::format("{} gave the {} to {}.", gift.answer, words[3], words.back())
                                        : fmt::format("{} gave the {} to {}.", words[2], words[5], gift.answer)))
        << gift.question;
  }
  EXPECT_THROW(tell_story(6, random), Error);
}

TEST(Facts, are_told_as_they_say) {
  const std::vector<Fact> facts = make_facts(64, 5, {Told::once, Told::updated, Told::deleted, Told::never});
  size_t used = 0;
  const std::string text = hide(facts, book(), used);
  EXPECT_EQ(used, 16u * (1 + 2 + 2 + 0));
  std::set<std::string> questions;
  for (const Fact& fact : facts) {
    EXPECT_TRUE(questions.insert(fact.question).second);
    EXPECT_EQ(std::set<std::string>(fact.others.begin(), fact.others.end()).size(), 9u);
    EXPECT_EQ(std::count(fact.others.begin(), fact.others.end(), fact.value), 0);
    const std::string sentence = fact.cloze + " " + fact.value + ".";
    const size_t said = text.find(sentence);
    switch (fact.told) {
      case Told::once: EXPECT_EQ(occurrences(text, sentence), 1u); break;
      case Told::updated:
        EXPECT_LT(text.find(fact.cloze + " " + fact.old_value + "."), said);
        EXPECT_EQ(std::count(fact.others.begin(), fact.others.end(), fact.old_value), 1);
        break;
      case Told::deleted:
        ASSERT_NE(said, text.npos);
        EXPECT_GT(text.find("It is not true any more that t" + sentence.substr(1)), said);
        break;
      case Told::never: EXPECT_EQ(text.find(fact.cloze), text.npos); break;
    }
  }
  const std::vector<Fact> again = make_facts(64, 5, {Told::once, Told::updated, Told::deleted, Told::never});
  EXPECT_EQ(again[17].first, facts[17].first);
}

TEST(Mqar, every_key_is_asked_once_and_followed_by_its_value) {
  data::SplitMix64 random(9);
  const MqarOptions o{.vocab = 256, .length = 128, .pairs = 16};
  int64_t near = 0, far = 0;
  for (int n = 0; n < 200; ++n) {
    const MqarExample made = make_mqar(o, random);
    ASSERT_EQ(made.tokens.size(), 129u);
    std::map<int32_t, int32_t> value_of;
    for (size_t i = 0; i < 16; ++i) {
      EXPECT_TRUE(made.tokens[2 * i] >= 1 && made.tokens[2 * i] < 128);
      EXPECT_TRUE(made.tokens[2 * i + 1] >= 128 && made.tokens[2 * i + 1] < 256);
      value_of[made.tokens[2 * i]] = made.tokens[2 * i + 1];
    }
    ASSERT_EQ(value_of.size(), 16u);
    ASSERT_EQ(made.asked.size(), 16u);
    std::set<int32_t> keys;
    for (const int64_t at : made.asked) {
      EXPECT_EQ(made.tokens[static_cast<size_t>(at) + 1], value_of.at(made.tokens[static_cast<size_t>(at)]));
      keys.insert(made.tokens[static_cast<size_t>(at)]);
      ++(at < 32 + 32 ? near : far);
    }
    EXPECT_EQ(keys.size(), 16u);
    EXPECT_EQ(std::count(made.tokens.begin(), made.tokens.end(), 0), 129 - 64);
  }
  EXPECT_GT(near, far) << "short distances are likelier";
  EXPECT_THROW(make_mqar({.vocab = 256, .length = 62, .pairs = 16}, random), Error);
}

}  // namespace
}  // namespace ingrain::tasks
