// What makes tokens of the pieces of a text: BPE or Unigram, behind one door that remembers words.
#pragma once

#include <variant>

#include "tokenizer/bpe.h"
#include "tokenizer/unigram.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_cache.h"

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class Model {
 public:
  /// Error, beginning with spec.source, for a spec that contradicts itself. `vocabulary`, the spec's, must outlive it.
  Model(const TokenizerSpec& spec, const Vocabulary& vocabulary);

  /// Working memory of one thread.
  struct Scratch {
    Bpe::Scratch bpe;
    Unigram::Scratch unigram;
    WordCache words;
  };

  /// Appends the tokens of `piece` to `out`.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;
  /// The same, and how many bytes each has.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
              std::vector<uint32_t>& lengths) const;

  /// Whether no token has the sign for a blank behind an ASCII letter.
  bool parts_words() const;

 private:
  void encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out,
                   std::vector<uint32_t>* lengths) const;
  size_t part_end(std::string_view piece, size_t from) const;

  const Vocabulary& vocabulary_;
  bool ignore_merges_;
  std::variant<Bpe, Unigram> kind_;
};

}  // namespace ingrain::tokenizer
