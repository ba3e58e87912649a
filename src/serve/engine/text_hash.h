// What a memory has read, as bytes, in a number: texts that read alike have the same, however they were cut into
// tokens.
#pragma once

#include "tokenizer/tokenizer.h"

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace ingrain::serve {

/// 128 bits and the number of bytes hashed. Equal texts are equal here; whoever acts on it compares the texts as well.
struct TextHash {
  uint64_t length = 0, high = 0, low = 0;
  auto operator<=>(const TextHash&) const = default;
};

/// Takes tokens, in any portions. A special token is itself, never the characters that spell it. A copy goes on
/// independently.
class TextHasher {
 public:
  /// `base`: what was read before, as a name; texts after different bases differ.
  explicit TextHasher(std::string_view base = {});
  TextHasher(const TextHasher& other);
  TextHasher& operator=(const TextHasher& other);
  ~TextHasher();

  void add(const tokenizer::Tokenizer& tokenizer, std::span<const int32_t> tokens);
  void add_bytes(std::string_view text);  // of a token that is not special
  TextHash hash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The hashes of all beginnings of a text, from the whole down to the base alone, in pieces: what is held at once is
/// small however long the text is. A beginning may end within a token, but not within a special one. One thread.
class Beginnings {
 public:
  /// The tokenizer and the tokens must outlive it.
  Beginnings(const tokenizer::Tokenizer& tokenizer, std::string_view base, std::span<const int32_t> tokens);

  /// The next ones, by falling length. Empty: there are no more.
  std::vector<TextHash> next();
  /// Of the whole.
  const TextHash& whole() const { return whole_; }

 private:
  struct Mark {
    TextHasher before;  // has hashed what comes before the token
    size_t token;
  };
  const tokenizer::Tokenizer& tokenizer_;
  std::span<const int32_t> tokens_;  // those that next() has not come to
  std::vector<Mark> marks_;
  TextHash whole_;
};

}  // namespace ingrain::serve
