#include "serve/notes/passages.h"

#include "serve/notes/words.h"

#include "base/utf8.h"

#include <cstdint>
#include <string>

namespace ingrain::serve {
namespace {

constexpr size_t kFewWords = 100, kManyWords = 160, kManyBytes = 2000;

/// How good a place to cut follows a word.
enum Break : int { none = -1, between_words = 0, line = 1, sentence = 2, paragraph = 3 };

/// A run without white space, or one character of a script that writes none.
struct Word {
  size_t begin = 0, end = 0;
  size_t halves = 2;  // of a word
  Break after = none;
};

bool ends_sentence(std::string_view word) {
  constexpr std::string_view kClosers[] = {"\"", "'", ")", "]", "*", "_", "”", "’", "»", "」", "』"};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view closer : kClosers) {
      if (!word.ends_with(closer)) continue;
      word.remove_suffix(closer.size());
      again = true;
    }
  }
  for (const std::string_view end : {".", "!", "?", "…", "。", "！", "？", "।"})
    if (word.ends_with(end)) return true;
  return false;
}

/// The character at `at`, or a byte that is none.
struct Character {
  char32_t value = 0xfffd;
  size_t length = 1;
};
Character character_at(std::string_view text, size_t at) {
  const auto step = utf8_step(text, at);
  if (step.kind != Utf8::valid) return {0xfffd, std::max<size_t>(step.length, 1)};
  return {utf8_decode(text, at), step.length};
}

/// The words of a text, one after another, each with what follows it.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { skip_space(); }

  bool next(Word& word) {
    if (at_ >= text_.size()) return false;
    word = {at_, at_, 2, none};
    const Character first = character_at(text_, at_);
    if (is_unspaced(first.value)) {
      at_ += first.length;
      word.halves = 1;
      take_marks();
    } else {
      while (at_ < text_.size() && at_ - word.begin < kManyBytes / 2) {
        const Character c = character_at(text_, at_);
        if (is_white_space(c.value) || is_unspaced(c.value)) break;
        at_ += c.length;
      }
    }
    word.end = at_;
    const int lines = skip_space();
    if (ends_sentence(text_.substr(word.begin, word.end - word.begin)))
      word.after = sentence;
    else if (at_ > word.end || is_unspaced(first.value))
      word.after = between_words;
    if (lines == 1 && word.after < line) word.after = line;
    if (lines > 1 || at_ >= text_.size()) word.after = paragraph;
    return true;
  }

 private:
  /// Punctuation that belongs to the character before it.
  void take_marks() {
    while (at_ < text_.size()) {
      const Character c = character_at(text_, at_);
      const bool mark = (c.value >= 0x3001 && c.value <= 0x3011) || (c.value >= 0xff01 && c.value <= 0xff0f) ||
                        c.value == 0xff1f || c.value == 0xff1a || c.value == 0xff1b || c.value == 0x2026;
      if (!mark) break;
      at_ += c.length;
    }
  }

  /// How many lines ended in it.
  int skip_space() {
    int lines = 0;
    while (at_ < text_.size()) {
      const Character c = character_at(text_, at_);
      if (!is_white_space(c.value)) break;
      lines += c.value == '\n' || c.value == 0x2029;
      at_ += c.length;
    }
    return lines;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<Span> cut_into_passages(std::string_view text) {
  std::vector<Span> out;
  Words words(text);
  std::vector<Word> run;  // of the passage to come
  size_t halves = 0;
  // The first `count` words are a passage; the others begin the next one.
  const auto cut = [&](size_t count) {
    out.push_back({run.front().begin, run[count - 1].end - run.front().begin});
    run.erase(run.begin(), run.begin() + static_cast<std::ptrdiff_t>(count));
    halves = 0;
    for (const Word& word : run) halves += word.halves;
  };
  const auto cut_where_best = [&](size_t count) {
    size_t best = count, words_so_far = 0;
    Break kind = none;
    for (size_t i = 0; i < count; ++i) {
      words_so_far += run[i].halves;
      const bool long_enough = words_so_far >= 2 * kFewWords || run[i].end - run.front().begin >= kManyBytes / 2;
      if (!long_enough || run[i].after < kind) continue;
      kind = run[i].after;
      best = i + 1;
    }
    cut(best);
  };
  Word word;
  while (words.next(word)) {
    while (!run.empty() && (halves + word.halves > 2 * kManyWords || word.end - run.front().begin > kManyBytes))
      cut_where_best(run.size());
    run.push_back(word);
    halves += word.halves;
    if (word.after == paragraph && halves >= 2 * kFewWords) cut(run.size());
  }
  if (!run.empty()) cut(run.size());
  return out;
}

}  // namespace ingrain::serve
