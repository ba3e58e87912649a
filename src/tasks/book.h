// A book that tasks are hidden in: its sentences, its paragraphs, and its words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingrain::tasks {

class Book {
 public:
  /// Error, naming `name`, if it has fewer than 100 sentences or 500 different words: too little to hide anything in.
  Book(std::string_view text, std::string_view name);

  /// White space is one space each; a sentence ends with '.', '!' or '?', quotes and brackets included.
  const std::vector<std::string>& sentences() const { return sentences_; }
  /// Of 200 to 900 bytes, as they stand but for the lines' ends, which are "\n" each.
  const std::vector<std::string>& paragraphs() const { return paragraphs_; }
  /// Different words of 4 to 10 lower-case letters, in alphabetical order.
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::vector<std::string> sentences_, paragraphs_, words_;
};

}  // namespace ingrain::tasks
