#include "serve/notes/words.h"

#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace ingrain::serve {
namespace {

constexpr size_t kMostWords = 64, kLongestWord = 256;

// Sorted. Those of a question that say nothing of what is asked.
constexpr auto kFunctionWords = std::to_array<std::string_view>(
    {"a",     "about", "after",  "all",  "also",  "am",   "an",    "and",  "any",   "are",  "as",    "at",   "be",
     "been",  "being", "both",   "but",  "by",    "can",  "could", "did",  "do",    "does", "each",  "for",  "from",
     "had",   "has",   "have",   "he",   "her",   "hers", "him",   "his",  "how",   "i",    "if",    "in",   "into",
     "is",    "it",    "its",    "me",   "my",    "no",   "nor",   "not",  "of",    "on",   "or",    "our",  "please",
     "shall", "she",   "should", "so",   "some",  "such", "tell",  "than", "that",  "the",  "their", "them", "then",
     "there", "these", "they",   "this", "those", "to",   "up",    "us",   "was",   "we",   "were",  "what", "when",
     "where", "which", "who",    "whom", "whose", "why",  "will",  "with", "would", "you",  "your"});

// Those that other languages do not share.
constexpr auto kEnglish =
    std::to_array<std::string_view>({"and", "are",  "by",  "for",  "from", "had", "have", "his",  "is",   "it", "not",
                                     "of",  "that", "the", "they", "this", "to",  "was",  "were", "with", "you"});

static_assert(std::is_sorted(kFunctionWords.begin(), kFunctionWords.end()) &&
              std::is_sorted(kEnglish.begin(), kEnglish.end()));

bool is_function_word(const std::string& word) {
  return std::binary_search(kFunctionWords.begin(), kFunctionWords.end(), word);
}

/// Calls give(word, unspaced): runs of letters, marks and digits, and runs of unspaced characters.
template <class Give>
void for_each_word(std::string_view text, const Give& give) {
  size_t begin = 0;
  int kind = 0;  // of the run: 0 none, 1 spaced, 2 unspaced
  const auto end_run = [&](size_t at) {
    if (kind != 0) give(text.substr(begin, at - begin), kind == 2);
    kind = 0;
  };
  for (size_t i = 0; i < text.size();) {
    const auto step = utf8_step(text, i);
    const bool valid = step.kind == Utf8::valid;
    const char32_t c = valid ? utf8_decode(text, i) : 0;
    const int now = !valid ? 0 : is_unspaced(c) ? 2 : is_word_character(c) ? 1 : 0;
    if (now != kind) {
      end_run(i);
      begin = i;
      kind = now;
    }
    i += std::max<size_t>(step.length, 1);
  }
  end_run(text.size());
}

/// A run of unspaced characters as phrases of two: "日 本", "本 語".
void add_pairs(std::string_view run, std::vector<std::string>& out) {
  std::vector<std::string_view> characters;
  for (size_t i = 0; i < run.size();) {
    const size_t length = utf8_step(run, i).length;
    characters.push_back(run.substr(i, length));
    i += length;
  }
  if (characters.size() == 1) out.emplace_back(characters[0]);
  for (size_t i = 0; i + 1 < characters.size(); ++i)
    out.push_back(std::string(characters[i]).append(" ").append(characters[i + 1]));
}

}  // namespace

bool is_unspaced(char32_t c) {
  return (c >= 0x3041 && c <= 0x30ff) || (c >= 0x31f0 && c <= 0x31ff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x20000 && c <= 0x3fffd);
}

bool looks_english(std::string_view text) {
  constexpr size_t kLooked = 2000;
  size_t words = 0, english = 0;
  for_each_word(text.substr(0, 10 * kLooked), [&](std::string_view word, bool unspaced) {
    if (words >= kLooked) return;
    words += unspaced ? word.size() / 3 : 1;
    english += !unspaced && std::binary_search(kEnglish.begin(), kEnglish.end(), in_ascii_lower(word.substr(0, 8)));
  });
  return english * 100 >= words * 8 && english > 0;
}

std::string indexed_text(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    const auto step = utf8_step(text, i);
    const size_t length = std::max<size_t>(step.length, 1);
    if (step.kind != Utf8::valid || text[i] == '\0') {
      out += ' ';
    } else if (is_unspaced(utf8_decode(text, i))) {
      out.append(" ").append(text.substr(i, length)).append(" ");
    } else {
      out.append(text.substr(i, length));
    }
    i += length;
  }
  return out;
}

std::string match_expression(std::string_view question) {
  std::vector<std::string> telling, function;
  std::set<std::string> seen;
  for_each_word(question, [&](std::string_view run, bool unspaced) {
    std::vector<std::string> found;
    if (unspaced)
      add_pairs(run, found);
    else if (run.size() <= kLongestWord)
      found.push_back(in_ascii_lower(run));
    for (std::string& word : found) {
      if (!seen.insert(word).second) continue;
      (is_function_word(word) ? function : telling).push_back(std::move(word));
    }
  });
  std::vector<std::string>& words = telling.empty() ? function : telling;
  if (words.size() > kMostWords)
    words.erase(words.begin() + kMostWords / 2, words.end() - static_cast<std::ptrdiff_t>(kMostWords / 2));
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "\"" : " OR \"").append(word).append("\"");
  return out;
}

}  // namespace ingrain::serve
