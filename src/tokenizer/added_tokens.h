// Finds added tokens (special ones and others) in a text.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// Which added tokens are looked for; the others are plain text.
enum class Wanted { all, ordinary, none };

/// Immutable, thread-safe.
class AddedTokenFinder {
 public:
  /// Searches tokens[i].content for every i.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  bool empty() const { return edges_.empty(); }

  /// A stretch of the text that is a token, or (`id` < 0) plain text.
  struct Segment {
    size_t begin, end;
    int32_t id;
  };
  /// Cuts `text` (valid UTF-8) at the tokens: leftmost first, of several the longest. Those that are not
  /// `wanted` stay in the plain text.
  std::vector<Segment> split(std::string_view text, Wanted wanted) const;

 private:
  size_t longest_at(std::string_view text, size_t position, size_t& length) const;
  void apply(const AddedToken& token, std::string_view text, size_t begin, size_t end, size_t& done,
             std::vector<Segment>& out) const;

  std::vector<AddedToken> tokens_;
  std::bitset<256> first_bytes_;
  std::unordered_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node; the root is node 0
  std::vector<uint32_t> token_at_;                // node -> index in tokens_ or none
};

}  // namespace ingrain::tokenizer
