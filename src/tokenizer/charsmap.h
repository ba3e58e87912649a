// SentencePiece's compiled table of what characters become before anything else (tokenizer.json's Precompiled, GGUF's
// tokenizer.ggml.precompiled_charsmap).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tracked_text.h"

namespace ingrain::tokenizer {

/// A trie in a double array, and the texts that its leaves point at. Immutable, thread-safe. Hostile tables give any
/// text; nothing outside of them is read.
class Charsmap {
 public:
  /// `bytes`: the array's size in bytes (little-endian, 32 bits), the array, texts that end with a zero byte. Error,
  /// beginning with `where`, for sizes that contradict each other and texts that are no UTF-8.
  Charsmap(std::string_view bytes, const std::string& where);

  /// What `key` becomes: as in Hugging Face's library, the text of its shortest beginning that the table knows.
  std::optional<std::string_view> find(std::string_view key) const;

  /// Every character, or a short cluster of them (as Unicode's grapheme clusters), by what it becomes.
  TrackedText apply(const TrackedText& text) const;

 private:
  std::string_view text_at(uint32_t offset) const;
  void cluster(const TrackedText& text, size_t begin, size_t end, Rewrite& out) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace ingrain::tokenizer
