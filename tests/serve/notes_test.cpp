#include "serve/notes/notepad.h"
#include "serve/notes/passages.h"
#include "serve/notes/words.h"

#include "scratch.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace ingrain::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string repeated(const std::string& part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

std::vector<std::string> passages_of(const std::string& text) {
  std::vector<std::string> out;
  for (const Span& span : cut_into_passages(text)) out.push_back(text.substr(span.offset, span.length));
  return out;
}

std::vector<std::string> sources(const std::vector<Passage>& passages) {
  std::vector<std::string> out;
  for (const Passage& p : passages) out.push_back(p.source);
  return out;
}

TEST(Passages, end_where_a_sentence_or_a_paragraph_does) {
  const std::string sentence = "Emma Woodhouse was handsome, clever, and rich.";  // 7 words
  const std::string text = "  " + repeated(sentence + " ", 60) + "\n\n" + repeated(sentence + "\n", 16) + "\n\nThe end";
  const auto passages = passages_of(text);
  ASSERT_GT(passages.size(), 3u);
  for (const std::string& passage : passages) {
    EXPECT_TRUE(passage.starts_with("Emma") || passage.starts_with("The end")) << passage;
    EXPECT_TRUE(passage.ends_with("rich.") || passage.ends_with("The end")) << passage;
    EXPECT_LE(std::count(passage.begin(), passage.end(), '.'), 22) << passage;
  }
  for (size_t i = 0; i + 3 < passages.size(); ++i)
    EXPECT_GE(std::count(passages[i].begin(), passages[i].end(), '.'), 14);
}

TEST(Passages, hold_every_byte_that_is_no_white_space_and_are_bounded) {
  const std::vector<std::string> texts{"",
                                       " \n\t ",
                                       "a",
                                       std::string(100'000, 'x'),
                                       repeated("字", 5000),
                                       repeated("今日は晴れです。", 300),
                                       repeated("word ", 2000),
                                       repeated("é\n", 3000),
                                       std::string("\xff\xfe\0\x80 bytes", 10),
                                       repeated("\xe4\xb8", 900),
                                       repeated("?", 5000),
                                       repeated("한국어 문장입니다. ", 400),
                                       repeated("\xf0\x9f\x98\x80", 3000)};
  for (const std::string& text : texts) {
    size_t at = 0;
    for (const Span& span : cut_into_passages(text)) {
      ASSERT_GT(span.length, 0u);
      ASSERT_LE(span.length, 2000u);
      ASSERT_GE(span.offset, at);
      for (; at < span.offset; ++at) EXPECT_TRUE(text[at] == ' ' || text[at] == '\n' || text[at] == '\t');
      at = span.offset + span.length;
      if (at < text.size() && static_cast<uint8_t>(text[0]) != 0xff && text[0] != '\xe4') {
        EXPECT_NE(static_cast<uint8_t>(text[at]) & 0xc0, 0x80) << "cut within a character";
      }
    }
    for (; at < text.size(); ++at) EXPECT_TRUE(text[at] == ' ' || text[at] == '\n' || text[at] == '\t');
  }
}

TEST(Words, of_a_question_are_quoted_and_never_operators) {
  EXPECT_EQ(match_expression("Who is Mr. Knightley?"), "\"mr\" OR \"knightley\"");
  EXPECT_EQ(match_expression("a\" OR words:b* NEAR(c, 2) AND NOT (d)"),
            "\"words\" OR \"b\" OR \"near\" OR \"c\" OR \"2\" OR \"d\"");
  EXPECT_EQ(match_expression("who are you"), "\"who\" OR \"are\" OR \"you\"");  // better than nothing
  EXPECT_EQ(match_expression(" ?!\"' "), "");
  EXPECT_EQ(match_expression("東京 日本語"), "\"東 京\" OR \"日 本\" OR \"本 語\"");
  EXPECT_EQ(match_expression(std::string("ab\0cd", 5)), "\"ab\" OR \"cd\"");
  EXPECT_EQ(match_expression("word Word WORD"), "\"word\"");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += " w" + std::to_string(i);
  const std::string some = match_expression(many);
  EXPECT_EQ(std::count(some.begin(), some.end(), '"'), 128);
  EXPECT_THAT(some, HasSubstr("\"w0\""));
  EXPECT_THAT(some, HasSubstr("\"w999\""));
}

TEST(Words, english_is_told_from_other_languages) {
  EXPECT_TRUE(looks_english("It was the best of times, it was the worst of times."));
  EXPECT_TRUE(looks_english("The code of the red box is 4417."));
  EXPECT_FALSE(looks_english("Der Hund war an der Tür, und her kam keiner, was nicht gut war."));
  EXPECT_FALSE(looks_english("Il est à la maison, on me dit pas si tu as un chien."));
  EXPECT_FALSE(looks_english("今日は晴れです"));
  EXPECT_FALSE(looks_english(""));
}

TEST(Notes, give_the_passage_that_answers_with_source_and_offset) {
  Notepad notes;
  const std::string filler = repeated("The rain fell on the hills and nobody came to the door that day. ", 300);
  const std::string fact = "The code of the harbour gate in Aldermouth is 48213.";
  notes.add("", "book.txt", filler + fact + " " + filler);
  notes.add("", "other.txt", filler);
  const auto found = notes.search("", "What is the code of the gate in Aldermouth?", 3);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].source, "book.txt");
  EXPECT_THAT(found[0].text, HasSubstr(fact));
  EXPECT_EQ((filler + fact + " " + filler).substr(found[0].offset, found[0].text.size()), found[0].text);
  for (size_t i = 1; i < found.size(); ++i) EXPECT_GE(found[i - 1].score, found[i].score);
  EXPECT_GT(found[0].score, 0);
  EXPECT_THAT(notes.search("", "zebra", 3), IsEmpty());
  EXPECT_EQ(notes.search("", "rain", 1000).size(), 64u);
  EXPECT_THAT(notes.search("", "rain", 0), IsEmpty());
  EXPECT_THAT(notes.search("", "rain", -1), IsEmpty());
  EXPECT_THAT(notes.search("none", "rain", 3), IsEmpty());
}

TEST(Notes, stem_english_and_nothing_else) {
  Notepad notes;
  notes.add("", "english", "He was running to the gates with his horses.");
  notes.add("", "deutsch", "Die Läuferin rennt durch das Städtchen und trägt Schuhe.");
  notes.add("", "日本", "彼は東京に住んでいます。明日は大阪へ行きます。");
  EXPECT_THAT(sources(notes.search("", "a gate", 5)), ElementsAre("english"));
  EXPECT_THAT(sources(notes.search("", "runs horse", 5)), ElementsAre("english"));
  EXPECT_THAT(sources(notes.search("", "LÄUFERIN", 5)), ElementsAre("deutsch"));
  EXPECT_THAT(sources(notes.search("", "lauferin", 5)), ElementsAre("deutsch"));
  EXPECT_THAT(notes.search("", "Schuh", 5), IsEmpty());
  EXPECT_THAT(sources(notes.search("", "大阪はどこですか", 5)), ElementsAre("日本"));
  EXPECT_THAT(notes.search("", "阪大", 5), IsEmpty());
}

TEST(Notes, answer_hostile_questions) {
  Notepad notes;
  notes.add("", "a", "The plain text of a document with some words.");
  for (const std::string& question : {std::string("\""),
                                      std::string("words\""),
                                      std::string("'; DROP TABLE passages; --"),
                                      std::string("words*"),
                                      std::string("english: words"),
                                      std::string("NEAR(words text)"),
                                      std::string("words AND"),
                                      std::string("(((("),
                                      std::string("-words"),
                                      std::string("^words"),
                                      std::string("words + text"),
                                      std::string("\0words\0", 7),
                                      std::string(1 << 20, '"'),
                                      repeated("words ", 200'000),
                                      repeated("字", 200'000),
                                      repeated("\xff", 1000),
                                      std::string(1 << 20, 'x'),
                                      std::string("{words} : text"),
                                      std::string("rank"),
                                      std::string("")}) {
    EXPECT_NO_THROW(notes.search("", question, 4)) << question.substr(0, 40);
  }
  EXPECT_FALSE(notes.search("", "words\" OR NOT", 4).empty());
  EXPECT_EQ(notes.passages(""), 1);
}

TEST(Notes, hostile_documents_are_found_as_what_they_are) {
  Notepad notes;
  EXPECT_EQ(notes.add("", "empty", " \n "), 0);
  EXPECT_EQ(notes.passages(""), 0);
  notes.add("", "'); DROP TABLE sets;--", std::string("alpha\0beta \xff\xfe gamma", 19));
  notes.add("", std::string(4096, 'n'), std::string(1 << 20, 'x') + " delta");
  EXPECT_EQ(notes.search("", "gamma", 4).at(0).source, "'); DROP TABLE sets;--");
  EXPECT_EQ(notes.search("", "beta", 4).at(0).text, std::string("alpha\0beta \xff\xfe gamma", 19));
  EXPECT_EQ(notes.search("", "delta", 4).size(), 1u);
  EXPECT_THROW(notes.add("", std::string(4097, 'n'), "text"), Error);
  EXPECT_THROW(notes.add(std::string(4097, 'n'), "n", "text"), Error);
}

TEST(Notes, of_a_fork_are_those_of_then_and_its_own) {
  Notepad notes;
  notes.add("a", "one", "alpha words of the first");
  notes.extend("b", "a");
  notes.add("a", "two", "alpha words of the second");
  notes.add("b", "three", "alpha words of the third");
  notes.extend("c", "b");
  notes.add("b", "four", "alpha words of the fourth");
  const auto in = [&](const char* set) {
    auto out = sources(notes.search(set, "alpha", 10));
    std::sort(out.begin(), out.end());
    return out;
  };
  EXPECT_THAT(in("a"), ElementsAre("one", "two"));
  EXPECT_THAT(in("b"), ElementsAre("four", "one", "three"));
  EXPECT_THAT(in("c"), ElementsAre("one", "three"));
  EXPECT_EQ(notes.passages("b"), 3);
  EXPECT_TRUE(notes.remove("b"));
  EXPECT_FALSE(notes.remove("b"));
  EXPECT_THAT(in("b"), IsEmpty());
  EXPECT_THAT(in("c"), ElementsAre("one", "three"));
  EXPECT_TRUE(notes.remove("a"));
  EXPECT_THAT(in("c"), ElementsAre("one", "three"));
  notes.add("b", "new", "alpha again");  // the name is free
  EXPECT_THAT(in("b"), ElementsAre("new"));
  EXPECT_TRUE(notes.remove("c"));
  EXPECT_THAT(in("c"), IsEmpty());
  EXPECT_THAT(in("b"), ElementsAre("new"));
  EXPECT_THROW(notes.extend("b", "b"), Error);
  EXPECT_THROW(notes.extend("d", "gone"), Error);
}

TEST(Notes, of_a_set_are_carried_to_another_notepad_and_back) {
  Notepad from, carried, to;
  from.add("parent", "one", "alpha words of the first");
  from.extend("set", "parent");
  from.add("parent", "late", "alpha words that came later");
  from.add("set", "two", "Alpha is what the second of them says, and then it was over.");
  from.add("other", "three", "alpha words of another");
  carried.copy("", from, "set");
  EXPECT_EQ(carried.passages(""), 2);
  to.add("mem", "own", "alpha");
  to.copy("back", carried, "");
  const auto found = [](const Notepad& notes, const char* set) {
    std::vector<std::tuple<std::string, uint64_t, std::string>> out;
    for (const Passage& p : notes.search(set, "alpha said", 10)) out.emplace_back(p.source, p.offset, p.text);
    std::sort(out.begin(), out.end());
    return out;
  };
  EXPECT_EQ(found(to, "back"), found(from, "set"));
  EXPECT_EQ(found(to, "back").size(), 2u);
  EXPECT_THROW(to.copy("back", carried, ""), Error);
  EXPECT_TRUE(to.remove("back"));
  EXPECT_EQ(to.passages("mem"), 1);
}

TEST(Notes, of_a_conversation_grow_from_turn_to_turn_and_are_made_once) {
  Notepad notes;
  notes.add("book", "book.txt", "The gate of the castle has the code 4711.");
  notes.make("one", "book", {{"message 1", "My cat is called Mortimer."}});
  notes.make("two", "one", {{"message 2", "The car stands in Elm Street."}, {"message 3", ""}});
  notes.make("two", "one", {{"message 2", "Never noted."}});
  notes.make("other", "one", {{"message 2", "The car was sold."}});
  EXPECT_TRUE(notes.has("two"));
  EXPECT_FALSE(notes.has("three"));
  EXPECT_EQ(notes.passages("two"), 3);
  EXPECT_EQ(notes.search("two", "Where is the car?", 4).at(0).text, "The car stands in Elm Street.");
  EXPECT_EQ(notes.search("other", "Where is the car?", 4).at(0).text, "The car was sold.");
  EXPECT_EQ(notes.search("two", "What is the gate's code?", 1).at(0).source, "book.txt");
  EXPECT_THROW(notes.make("four", "three", {}), Error);
  EXPECT_FALSE(notes.has("four"));
}

TEST(Notes, of_a_removed_set_leave_no_words_behind) {
  Notepad notes;
  notes.add("a", "one", "secretword and the rest of it");
  notes.add("a", "two", "geheimwort");
  EXPECT_TRUE(notes.remove("a"));
  notes.add("b", "one", "nothing");
  EXPECT_THAT(notes.search("b", "secretword geheimwort", 10), IsEmpty());
  EXPECT_EQ(notes.passages("a"), 0);
}

TEST(Notes, of_a_conversation_that_is_removed_go_but_for_what_another_shares) {
  Notepad notes;
  notes.add("book", "book.txt", "the gate has the number nine");
  notes.make("said:1", "book", {{"a", "the tower has the number one"}});
  notes.make("said:2", "said:1", {{"b", "the bridge has the number two"}});
  notes.make("said:3", "said:2", {{"c", "the mill has the number three"}});
  notes.make("said:other", "said:1", {{"d", "the church has the number four"}});
  notes.remove_line("said:2", "said:");  // another goes on from it
  EXPECT_TRUE(notes.has("said:2"));
  notes.remove_line("said:3", "said:");
  for (const char* gone : {"said:2", "said:3"}) EXPECT_FALSE(notes.has(gone)) << gone;
  EXPECT_EQ(notes.passages("said:other"), 3);
  EXPECT_THAT(notes.search("said:other", "which number has the bridge or the mill?", 9), testing::SizeIs(3));
  notes.remove_line("said:other", "said:");
  EXPECT_FALSE(notes.has("said:1"));
  EXPECT_EQ(notes.passages("book"), 1);
}

TEST(Notes, of_a_memory_that_is_removed_go_with_its_conversations_but_not_with_its_forks) {
  Notepad notes;
  notes.add("mem_a", "book.txt", "the gate has the number nine");
  notes.make("said:1", "mem_a", {{"a", "the tower has the number one"}});
  notes.make("said:2", "said:1", {{"b", "the bridge has the number two"}});
  notes.extend("mem_b", "mem_a");
  notes.make("said:3", "mem_b", {{"c", "the mill has the number three"}});
  notes.remove_after("mem_a", "said:");
  notes.remove("mem_a");
  for (const char* gone : {"mem_a", "said:1", "said:2"}) EXPECT_FALSE(notes.has(gone)) << gone;
  EXPECT_EQ(notes.passages("said:3"), 2);
  EXPECT_EQ(notes.passages("mem_b"), 1);
}

TEST(Notes, can_be_asked_and_added_to_by_threads) {
  Notepad notes;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string set = "set" + std::to_string(t);
      for (int i = 0; i < 20; ++i) {
        notes.add(set, set, "common words and number" + std::to_string(i));
        for (const Passage& p : notes.search(set, "common", 64)) wrong += p.source != set;
        wrong += notes.search(set, "number" + std::to_string(i), 4).size() != 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

using NotesFile = ScratchTest;

TEST_F(NotesFile, is_whole_and_goes_on) {
  const auto file = notes_file(dir_ / "book.memory");
  EXPECT_EQ(file.filename(), "book.memory.notes");
  EXPECT_THROW(Notepad(file, Open::read_only), Error);
  Notepad first;
  first.add("", "one", "alpha words");
  first.save(file);
  const auto second = Notepad::copy_of(file);
  second->add("", "two", "alpha words, too");
  EXPECT_EQ(Notepad(file, Open::read_only).passages(""), 1);
  second->save(file);
  const Notepad read(file, Open::read_only);
  EXPECT_EQ(read.passages(""), 2);
  EXPECT_EQ(read.search("", "too", 1).at(0).source, "two");
  Notepad written(file, Open::shared);
  written.add("", "three", "alpha");
  EXPECT_EQ(Notepad(file, Open::read_only).passages(""), 3);
}

TEST_F(NotesFile, of_another_kind_or_with_other_tables_is_refused) {
  put(dir_ / "text.notes", "These are my notes.\n");
  EXPECT_THAT(error_of([&] { Notepad(dir_ / "text.notes", Open::read_only); }), HasSubstr("text.notes"));
  put(dir_ / "empty.notes", "");
  EXPECT_THAT(error_of([&] { Notepad(dir_ / "empty.notes", Open::read_only); }), HasSubstr("empty"));
  {
    const DatabaseKind other{"a shopping list", 12345, 1, "CREATE TABLE list (thing TEXT)"};
    Database(dir_ / "list.notes", other, Open::shared);
  }
  EXPECT_THAT(error_of([&] { Notepad(dir_ / "list.notes", Open::shared); }), HasSubstr("not a notepad"));
  Notepad().save(dir_ / "good.notes");
  {
    const DatabaseKind good{"a notepad", 0x696e6e31, 9, "CREATE TABLE list (thing TEXT)"};
    Database(dir_ / "newer.notes", good, Open::shared);
  }
  EXPECT_THAT(error_of([&] { Notepad(dir_ / "newer.notes", Open::read_only); }), HasSubstr("newer ingrain"));
  {
    const DatabaseKind bad{"a notepad", 0x696e6e31, 1,
                           "CREATE TABLE sets (id INTEGER); CREATE VIEW passages AS SELECT 1 AS id"};
    Database(dir_ / "view.notes", bad, Open::shared);
  }
  EXPECT_THAT(error_of([&] { Notepad(dir_ / "view.notes", Open::read_only); }), HasSubstr("tables are not those"));
}

TEST_F(NotesFile, changed_anywhere_is_an_error_or_other_passages_but_no_fault) {
  Notepad notes;
  for (int i = 0; i < 40; ++i)
    notes.add(i % 2 ? "" : "other", "document " + std::to_string(i),
              repeated("The words of number " + std::to_string(i) + ". ", 60));
  notes.save(dir_ / "whole.notes");
  std::ifstream in(dir_ / "whole.notes", std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  int errors = 0;
  for (size_t at = 0; at < whole.size(); at += 487) {
    std::string bytes = whole;
    if (at % 2)
      bytes.resize(at);
    else
      for (size_t i = at; i < std::min(at + 60, bytes.size()); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
    put(dir_ / "copy.notes", bytes);
    const std::string error = error_of([&] {
      const auto copy = Notepad::copy_of(dir_ / "copy.notes");
      copy->search("", "words of number 7", 10);
      copy->passages("");
      copy->add("", "new", "words of number 41");
      copy->remove("other");
    });
    errors += !error.empty();
  }
  EXPECT_GT(errors, 20);
}

TEST_F(NotesFile, of_owners_are_apart) {
  OwnerNotes owners(dir_ / "notes");
  owners.of("ann")->add("s", "diary", "secretword");
  owners.of("../bob/x")->add("s", "diary", "other words");
  EXPECT_THAT(owners.of("../bob/x")->search("s", "secretword", 4), IsEmpty());
  EXPECT_EQ(owners.of("ann")->search("s", "secretword", 4).size(), 1u);
  EXPECT_THAT(owners.of("")->search("s", "secretword", 4), IsEmpty());
  EXPECT_THROW(owners.of(std::string(101, 'x')), Error);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "notes"))
    files += entry.path().extension() == ".notes";
  EXPECT_EQ(files, 3);
  OwnerNotes again(dir_ / "notes");
  EXPECT_EQ(again.of("ann")->search("s", "secretword", 4).size(), 1u);
}

}  // namespace
}  // namespace ingrain::serve
