#include "tasks/book.h"

#include "base/error.h"

#include <algorithm>
#include <set>

namespace ingrain::tasks {
namespace {

constexpr size_t kLeastSentences = 100, kLeastWords = 500;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool ends_sentence(char c) { return c == '.' || c == '!' || c == '?'; }

std::vector<std::string> sentences_of(std::string_view text) {
  std::vector<std::string> out;
  std::string sentence;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_space(text[i])) {
      sentence += text[i];
      continue;
    }
    const size_t last = sentence.find_last_not_of("\"')]");
    if (last != sentence.npos && ends_sentence(sentence[last]) && sentence.size() > 20) {
      out.push_back(std::move(sentence));
      sentence.clear();
    } else if (!sentence.empty() && sentence.back() != ' ') {
      sentence += ' ';
    }
  }
  return out;
}

/// A line ends with "\n", whatever the text's lines end with.
std::string with_plain_ends(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || text.substr(i + 1, 1) != "\n") out += text[i];
  return out;
}

std::vector<std::string> paragraphs_of(std::string_view text) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find("\n\n", begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    while (!part.empty() && is_space(part.front())) part.remove_prefix(1);
    while (!part.empty() && is_space(part.back())) part.remove_suffix(1);
    if (part.size() > 200 && part.size() < 900) out.emplace_back(part);
    begin = end + 2;
  }
  return out;
}

std::vector<std::string> words_of(std::string_view text) {
  std::set<std::string> out;
  std::string word;
  bool whole = true;  // a run of lower-case letters between two spaces, commas aside
  const auto end = [&] {
    if (whole && word.size() >= 4 && word.size() <= 10) out.insert(word);
    word.clear(), whole = true;
  };
  for (const char c : text) {
    if (is_space(c))
      end();
    else if (c >= 'a' && c <= 'z')
      word += c;
    else if (c != ',' && c != '.' && c != ';')
      whole = false;
  }
  end();
  return {out.begin(), out.end()};
}

}  // namespace

Book::Book(std::string_view text, std::string_view name)
    : sentences_(sentences_of(text)), paragraphs_(paragraphs_of(with_plain_ends(text))), words_(words_of(text)) {
  require(sentences_.size() >= kLeastSentences && words_.size() >= kLeastWords,
          "{}: {} sentences and {} different words are too little of a book; give one of {} and {} at least", name,
          sentences_.size(), words_.size(), kLeastSentences, kLeastWords);
}

}  // namespace ingrain::tasks
