// Which of many words a text begins with.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingrain::tokenizer {

/// The words in order of their bytes: those that share a beginning stand together. Immutable, thread-safe.
class PrefixIndex {
 public:
  /// Words and their numbers; words are not empty, none occurs twice.
  explicit PrefixIndex(std::vector<std::pair<std::string_view, int32_t>> words);

  /// visit(length, number) for every word that `text` begins with, shortest first. Time: the longest word's length.
  template <class Visit>
  void visit(std::string_view text, Visit&& visit) const {
    if (text.empty()) return;
    const auto first = static_cast<uint8_t>(text[0]);
    uint32_t low = begins_[first], high = begins_[first + 1];
    for (size_t depth = 1; low < high; ++depth) {
      if (words_[low].size == depth) visit(depth, words_[low++].number);
      if (low == high || depth == text.size()) return;
      narrow(depth, static_cast<uint8_t>(text[depth]), low, high);
    }
  }

 private:
  struct Word {
    uint32_t at, size;  // in bytes_
    int32_t number;
  };
  uint8_t byte_of(uint32_t word, size_t depth) const { return static_cast<uint8_t>(bytes_[words_[word].at + depth]); }
  /// To the words whose byte at `depth` is `byte`. REQUIRES: all of them are longer.
  void narrow(size_t depth, uint8_t byte, uint32_t& low, uint32_t& high) const;

  std::string bytes_;
  std::vector<Word> words_;
  std::array<uint32_t, 257> begins_{};  // by first byte
};

}  // namespace ingrain::tokenizer
