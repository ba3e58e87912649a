// The tokens of a tokenizer: bytes by id, ids by bytes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class Vocabulary {
 public:
  /// Error, beginning with spec.source, for duplicate tokens and ids that contradict each other.
  explicit Vocabulary(const TokenizerSpec& spec);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  size_t size() const { return bytes_.size(); }
  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < size() && !bytes_[id].empty(); }
  std::string_view bytes(int32_t id) const { return has(id) ? std::string_view(bytes_[id]) : std::string_view(); }
  bool is_special(int32_t id) const { return has(id) && special_[id]; }

  /// The token of the vocabulary proper (added ones apart, unless they are in both) whose bytes are `piece`.
  std::optional<int32_t> find_piece(std::string_view piece) const;
  /// By written form or added token's content.
  std::optional<int32_t> find_written(std::string_view written) const;

  /// What Bpe is made of. Error for merges and unk tokens that the vocabulary lacks.
  std::array<int32_t, 256> byte_tokens() const;
  std::vector<Merge> merges(const TokenizerSpec& spec) const;
  int32_t unk(const TokenizerSpec& spec) const;

 private:
  using Index = std::unordered_map<std::string_view, int32_t>;  // views of bytes_ and contents_

  void add_ordinary(const TokenizerSpec& spec);
  void add_added(const TokenizerSpec& spec);
  bool bpe_makes(int32_t id, const TokenizerSpec& spec) const;
  std::vector<Merge> merges_of_ranks() const;

  std::vector<std::string> bytes_;
  std::deque<std::string> contents_;  // of the added tokens
  std::vector<bool> special_;
  Index by_bytes_, by_literal_, by_added_;
};

}  // namespace ingrain::tokenizer
