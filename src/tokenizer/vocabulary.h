// The tokens of a tokenizer: bytes by id, ids by bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer_spec.h"
#include "tokenizer/unigram.h"

namespace ingrain::tokenizer {

/// Texts by id, in one piece of memory: a string of its own for each of a quarter of a million tokens takes five times
/// as much. What was handed out is valid until the next set().
class TextsById {
 public:
  TextsById(size_t ids, size_t bytes) : places_(ids) { bytes_.reserve(bytes); }
  size_t size() const { return places_.size(); }
  std::string_view operator[](size_t id) const {
    return std::string_view(bytes_).substr(places_[id].at, places_[id].size);
  }
  void set(size_t id, std::string_view text);

 private:
  struct Place {
    uint32_t at = 0, size = 0;
  };
  std::vector<Place> places_;
  std::string bytes_;
};

/// Ids by the texts that they have in a TextsById, which the caller keeps and gives again. Open addressing, linear
/// probing.
class IdsByText {
 public:
  explicit IdsByText(size_t ids);
  std::optional<int32_t> find(std::string_view text, const TextsById& texts) const;
  /// The id that has the text of `id`: `id` itself, unless there was one before.
  int32_t insert(int32_t id, const TextsById& texts);
  void erase(int32_t id, const TextsById& texts);

 private:
  static constexpr int32_t kFree = -1, kErased = -2;
  /// Where the text stands, or the first free place.
  size_t place_of(std::string_view text, const TextsById& texts) const;

  std::vector<int32_t> slots_;
};

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
  std::string_view bytes(int32_t id) const { return has(id) ? bytes_[id] : std::string_view(); }
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
  void add_ordinary(const TokenizerSpec& spec, const Decoder& decoder);
  void add_added(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer);
  const TextsById& surfaces() const { return alphabet_ == Alphabet::characters ? surfaces_ : bytes_; }
  bool bpe_makes(int32_t id, const TokenizerSpec& spec) const;
  int32_t unk(const TokenizerSpec& spec) const;
  Symbols::Bytes byte_tokens(const TokenizerSpec& spec) const;

  Alphabet alphabet_;
  TextsById bytes_;                   // what a token stands for
  TextsById surfaces_;                // among characters: as it is written
  std::deque<std::string> contents_;  // of the added tokens
  std::vector<bool> there_, special_;
  IdsByText by_surface_;
  std::map<std::string, int32_t, std::less<>> by_literal_;  // few
  std::unordered_map<std::string_view, int32_t> by_added_;  // views of contents_
};

}  // namespace ingrain::tokenizer
