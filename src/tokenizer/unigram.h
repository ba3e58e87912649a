// The most probable cut of a piece of text into tokens, each of which has a score of its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/prefix_index.h"

namespace ingrain::tokenizer {

/// What a Unigram model is made of. Views must outlive its construction only.
struct UnigramTokens {
  std::vector<std::pair<std::string_view, int32_t>> tokens;  // that text may become, with their ids
  std::vector<double> scores;                                // by id
  double unknown_score = 0;                                  // of one character that is no token
  std::optional<int32_t> unk;
  std::array<int32_t, 256> bytes;  // tokens of bytes that stand for what is unknown, or -1
};

/// Immutable, thread-safe. Time: linear in the text, times the longest token.
class Unigram {
 public:
  static constexpr size_t kMaxTokenBytes = 1024;

  /// Error, beginning with `source`, for tokens that are too long.
  Unigram(const UnigramTokens& tokens, const std::string& source);

  /// Working memory of one thread.
  struct Scratch {
    struct Best {  // of the cuts of the text up to a place
      double score;
      uint32_t begin;  // of its last token
      int32_t id;
    };
    std::vector<Best> best;
    std::vector<uint32_t> ends;
  };

  /// Appends the tokens of `piece` (at most 2^31 bytes) to `out` and, if it is asked for, how many bytes each has. Of
  /// equally probable cuts the one whose tokens begin earlier, from the end. Error for what is unknown where there is
  /// neither an unknown token nor one for each byte.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
              std::vector<uint32_t>* lengths = nullptr) const;

 private:
  static constexpr int32_t kUnknown = -1;
  void find_best(std::string_view piece, Scratch& scratch) const;
  void append_unknown(std::string_view run, std::vector<int32_t>& out, std::vector<uint32_t>* lengths) const;

  PrefixIndex index_;
  std::vector<double> scores_;
  double unknown_score_;
  std::optional<int32_t> unk_;
  std::array<int32_t, 256> bytes_;
  std::string source_;
};

}  // namespace ingrain::tokenizer
