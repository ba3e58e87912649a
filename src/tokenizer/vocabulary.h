// The tokens of a tokenizer: bytes by id, ids by bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer_spec.h"
#include "tokenizer/unigram.h"

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class Vocabulary {
 public:
  /// Error, beginning with spec.source, for duplicate tokens and ids that contradict each other. `decoder` and
  /// `normalizer`: the spec's.
  Vocabulary(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  size_t size() const { return bytes_.size(); }
  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < size() && there_[id]; }
  /// What `id` stands for inside a text.
  std::string_view bytes(int32_t id) const { return has(id) ? std::string_view(bytes_[id]) : std::string_view(); }
  /// As the file writes it; of byte-level vocabularies the bytes.
  std::string_view surface(int32_t id) const;
  bool is_special(int32_t id) const { return has(id) && special_[id]; }

  /// The token of the vocabulary proper (added ones apart, unless they are in both) whose surface is `piece`.
  std::optional<int32_t> find_piece(std::string_view piece) const;
  /// By written form or added token's content.
  std::optional<int32_t> find_written(std::string_view written) const;

  /// What models are made of. Error for merges and unk tokens that the vocabulary lacks.
  Symbols symbols(const TokenizerSpec& spec) const;
  std::vector<Merge> merges(const TokenizerSpec& spec) const;
  UnigramTokens unigram(const TokenizerSpec& spec) const;

 private:
  using Index = std::unordered_map<std::string_view, int32_t>;  // views of bytes_, surfaces_ and contents_

  void add_ordinary(const TokenizerSpec& spec, const Decoder& decoder);
  void add_added(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer);
  bool bpe_makes(int32_t id, const TokenizerSpec& spec) const;
  int32_t unk(const TokenizerSpec& spec) const;
  Symbols::Bytes byte_tokens(const TokenizerSpec& spec) const;

  Alphabet alphabet_;
  std::vector<std::string> bytes_;     // by id: what a token stands for
  std::vector<std::string> surfaces_;  // by id, among characters: as it is written
  std::deque<std::string> contents_;   // of the added tokens
  std::vector<bool> there_, special_;
  Index by_surface_, by_literal_, by_added_;
};

}  // namespace ingrain::tokenizer
