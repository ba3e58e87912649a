// Byte-pair encoding of one piece of text: O(n log n) in its length, whatever the text is.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/symbols.h"

namespace ingrain::tokenizer {

/// left and right, where they are neighbours, become result. Lower ranks come first; of equal ones the leftmost.
struct Merge {
  int32_t left, right, result;
  uint32_t rank;
};

/// Immutable, thread-safe.
class Bpe {
 public:
  /// Of two merges of the same pair the later one holds.
  Bpe(Symbols symbols, const std::vector<Merge>& merges);

  /// Working memory of one thread.
  struct Scratch {
    std::vector<uint32_t> ranks, previous, next, lengths;
    std::vector<uint64_t> heap;
  };

  /// Appends the tokens of `piece` (at most 2^31 bytes) to `out` and, if it is asked for, how many bytes each has.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
              std::vector<uint32_t>* lengths = nullptr) const;

  /// The end of what can be encoded by itself of piece[from..]: no token reaches over it.
  size_t part_end(std::string_view piece, size_t from) const { return symbols_.part_end(piece, from); }
  bool parts_words() const { return symbols_.parts_words(); }

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Entry {
    uint64_t pair;
    uint32_t rank;
    int32_t result;
  };

  static uint64_t pair_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  const Entry* find(int32_t left, int32_t right) const;
  uint32_t rank_of(int32_t left, int32_t right) const;
  size_t slot_of(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u) >> shift_; }

  void merge_short(std::vector<int32_t>& tokens, size_t first, Scratch& scratch) const;
  void merge_long(std::vector<int32_t>& tokens, size_t first, Scratch& scratch) const;

  Symbols symbols_;
  std::vector<Entry> table_;  // open addressing, linear probing; rank kNoRank marks a free slot
  int shift_ = 0;
};

}  // namespace ingrain::tokenizer
