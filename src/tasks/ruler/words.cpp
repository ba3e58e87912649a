// Counting words: the common ones of a list (cwe), and the most frequent ones of a coded text (fwe).
#include "tasks/ruler/ruler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

namespace ingrain::tasks {
namespace {

using data::SplitMix64;

constexpr int64_t kCommon = 10, kShort = 4096;  // below so many tokens words are repeated less often
constexpr const char* kListPrefix = " Answer: The top 10 words that appear most often in the list are:";

template <class T>
void shuffle(std::vector<T>& of, SplitMix64& random) {
  for (size_t i = of.size(); i-- > 1;) std::swap(of[i], of[random.below(i + 1)]);
}

std::string numbered(const std::vector<std::string>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) out += fmt::format("{}{}. {}", i ? " " : "", i + 1, words[i]);
  return out;
}

/// A list in which ten words are `often`, the others `seldom`.
Task list_of(const Book& book, int64_t different, int64_t often, int64_t seldom, SplitMix64& random) {
  std::vector<std::string> words = book.words();
  shuffle(words, random);
  words.resize(std::min(words.size(), static_cast<size_t>(different)));
  std::vector<std::string> list, common(words.begin(), words.begin() + kCommon);
  for (size_t i = 0; i < words.size(); ++i)
    for (int64_t n = static_cast<int64_t>(i) < kCommon ? often : seldom; n > 0; --n) list.push_back(words[i]);
  shuffle(list, random);
  return {fmt::format("Below is a numbered list of words. In these words, some appear more often than others. Memorize "
                      "the ones that appear most often.\n{}\nQuestion: What are the 10 most common words in the above "
                      "list?",
                      numbered(list)),
          kListPrefix, common};
}

Task common_words(const Book& book, int64_t size, int64_t length, SplitMix64& random) {
  const bool is_short = length < kShort;
  const Task example = is_short ? list_of(book, 20, 3, 1, random) : list_of(book, 40, 10, 3, random);
  Task out = list_of(book, size, is_short ? 6 : 30, is_short ? 1 : 3, random);
  out.prompt = fmt::format("{}{} {}\n{}", example.prompt, example.answer_prefix, numbered(example.answers), out.prompt);
  return out;
}

/// Coded words, the k-th of them in proportion to 1 / k^2; the first is noise.
Task frequent_words(int64_t size, int64_t length, SplitMix64& random) {
  constexpr int64_t kLetters = 6;
  constexpr double zeta_2 = std::numbers::pi * std::numbers::pi / 6;
  const size_t count = static_cast<size_t>(std::max<int64_t>(4, length / 50));
  std::vector<std::string> vocabulary;
  std::set<std::string> known;
  while (vocabulary.size() < count) {
    std::string word;
    for (int64_t i = 0; i < kLetters; ++i) word += static_cast<char>('a' + random.below(26));
    if (known.insert(word).second) vocabulary.push_back(word);
  }
  vocabulary[0] = "...";
  std::vector<std::string> text;
  for (size_t k = 0; k < vocabulary.size(); ++k) {
    const double share = 1 / (static_cast<double>((k + 1) * (k + 1)) * zeta_2);
    for (auto n = static_cast<int64_t>(static_cast<double>(size) * share); n > 0; --n) text.push_back(vocabulary[k]);
  }
  shuffle(text, random);
  return {
      fmt::format("Read the following coded text and track the frequency of each coded word. Find the three most "
                  "frequently appeared coded words. {}\nQuestion: Do not provide any explanation. Please ignore the "
                  "dots '....'. What are the three most frequently appeared words in the above coded text?",
                  fmt::join(text, " ")),
      " Answer: According to the coded text above, the three most frequently appeared words are:",
      {vocabulary.begin() + 1, vocabulary.begin() + 4}};
}

}  // namespace

void add_words(std::vector<SizedTask>& out) {
  out.push_back({"cwe", 120, kCommon, common_words});
  // With 30 words the third most frequent one that is asked for appears once.
  out.push_back({"fwe", 50, 30, [](const Book&, int64_t size, int64_t length, SplitMix64& random) {
                   return frequent_words(size, length, random);
                 }});
}

}  // namespace ingrain::tasks
