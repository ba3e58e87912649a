// A tokenizer's vocabulary by its bytes, so that a grammar meets every beginning that tokens share once.
#pragma once

#include "tokenizer/tokenizer.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve {

/// Immutable, thread-safe; one for a tokenizer, shared by all constraints. Tokens of the tokenizer's list of added
/// tokens (special ones and others) are no text: they are found by control() alone.
class TokenTrie {
 public:
  explicit TokenTrie(const tokenizer::Tokenizer& tokenizer);

  /// A byte of one or more tokens. Nodes lie depth first: those that go on from nodes[i] are nodes[i + 1 .. end - 1].
  struct Node {
    uint32_t end;    // the first node that does not go on from this one
    uint32_t depth;  // 0: a token's first byte
    int32_t token;   // that ends here, or -1
    uint8_t byte;
  };
  std::span<const Node> all() const { return all_; }
  /// Of the tokens that are not plain alone. A token is plain if within a JSON string it is itself wherever a character
  /// may begin: whole characters, no quote, no backslash, no control character.
  std::span<const Node> not_plain() const { return not_plain_; }

  /// Sets the bits of all plain tokens of at most so many characters.
  void add_plain(std::span<uint64_t> bits, uint64_t characters) const;
  /// Sets the bits of tokens whose bytes are those of a token that is set: a walk over nodes finds one of them.
  void add_equals(std::span<uint64_t> bits) const;
  /// Sets the bits of all tokens of text.
  void add_text(std::span<uint64_t> bits) const;

  /// The bytes of a token of text; "" for any other id.
  std::string_view bytes(int32_t id) const;
  /// The added token of this spelling, if there is one.
  std::optional<int32_t> control(std::string_view spelling) const;
  /// And back; "" for any other id, and for special tokens that are not in `marks`: no reader of the text sees them.
  std::string_view spelling(int32_t id, std::span<const std::string_view> marks) const;
  size_t vocab_size() const { return tokens_.size(); }

 private:
  using Words = std::vector<uint64_t>;
  std::vector<Node> build(const std::vector<int32_t>& sorted) const;

  std::vector<std::string> tokens_;                // by id; "": no text
  std::vector<std::pair<int32_t, int32_t>> same_;  // an id and the one in the trie that has its bytes, too
  std::map<std::string, int32_t, std::less<>> control_;
  std::map<int32_t, std::pair<std::string, bool>> spellings_;  // of control_; whether it is special
  std::vector<Node> all_, not_plain_;
  Words text_;
  std::vector<Words> plain_;                        // [k]: of at most k characters
  std::vector<std::pair<uint64_t, int32_t>> long_;  // plain tokens of more characters than plain_ has, by number
};

inline void set_bit(std::span<uint64_t> bits, int32_t id) {
  const auto i = static_cast<size_t>(id);
  if (i / 64 < bits.size()) bits[i / 64] |= uint64_t{1} << i % 64;
}
inline bool has_bit(std::span<const uint64_t> bits, int32_t id) {
  const auto i = static_cast<size_t>(id);
  return i / 64 < bits.size() && (bits[i / 64] >> i % 64 & 1) != 0;
}

}  // namespace ingrain::serve
