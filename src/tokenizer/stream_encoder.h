// Tokens of a text that comes in parts: the same as of the whole text, however it is split.
#pragma once

#include <unordered_set>

#include "tokenizer/tokenizer.h"

namespace ingrain::tokenizer {

/// Whether words are encoded on their own, as far as Tokenizer::words_stand_alone() and some trials tell: then a text
/// may be cut between two, and what comes after encoded with `continues`.
bool encodes_word_by_word(const Tokenizer& tokenizer, EncodeOptions options);
/// Whether a text that is cut here is cut before a blank between two ASCII letters.
bool is_between_words(std::string_view before, std::string_view after);

/// Cuts only before a blank between two ASCII letters, where most tokenizers begin a new word whatever stands around
/// it; what follows the last such place waits. A tokenizer for which that is not so (encodes_word_by_word()) gets the
/// whole text at finish(). One thread at a time.
class StreamEncoder {
 public:
  explicit StreamEncoder(Tokenizer tokenizer, EncodeOptions options = {});

  /// The ids that are certain by now.
  std::vector<int32_t> push(std::string_view text);
  /// The ids of what waits, when the text is over. The encoder is then as new.
  std::vector<int32_t> finish();
  bool waiting() const { return !waiting_.empty(); }

 private:
  std::vector<int32_t> encode(std::string_view text) const;

  Tokenizer tokenizer_;
  EncodeOptions options_;
  bool can_cut_;
  bool began_ = false;  // something of the text was encoded
  std::unordered_set<int32_t> added_;
  std::string waiting_;
};

}  // namespace ingrain::tokenizer
