// What a memory has read, as bytes, in a number: texts that read alike have the same, however they were cut into
// tokens.
#pragma once

#include "tokenizer/tokenizer.h"

#include <compare>
#include <cstdint>
#include <memory>

namespace ingrain::serve {

/// 128 bits and the number of bytes hashed. Equal texts are equal here; whoever acts on it compares the texts as well.
struct TextHash {
  uint64_t length = 0, high = 0, low = 0;
  auto operator<=>(const TextHash&) const = default;
};

/// Takes tokens one by one. A special token is itself, never the characters that spell it. A copy goes on
/// independently.
class TextHasher {
 public:
  /// `base`: what was read before, as a name; texts after different bases differ.
  explicit TextHasher(std::string_view base = {});
  TextHasher(const TextHasher& other);
  TextHasher& operator=(const TextHasher& other);
  ~TextHasher();

  void add(const tokenizer::Tokenizer& tokenizer, int32_t token);
  void add_bytes(std::string_view text);  // of a token that is not special
  TextHash hash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingrain::serve
