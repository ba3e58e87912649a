// What a piece is to BPE before anything merges: tokens of its bytes or of its characters.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class Symbols {
 public:
  static constexpr int32_t kNoToken = -1;
  using Bytes = std::array<int32_t, 256>;

  /// Every byte is a symbol: bytes[b] or, where that is kNoToken, `unk`, or nothing if that is kNoToken, too.
  static Symbols of_bytes(const Bytes& bytes, int32_t unk, bool fuse_unk);

  /// Every character is one: of_character's, else one for each of its bytes where `bytes` has all of them, else `unk`.
  /// `tokens`: all that merging may make, as they are written.
  static Symbols of_characters(const std::unordered_map<char32_t, int32_t>& of_character, const Bytes& bytes,
                               int32_t unk, bool fuse_unk, const std::vector<std::string_view>& tokens);

  /// Appends the symbols of `piece` and how many bytes each has.
  void append(std::string_view piece, std::vector<int32_t>& out, std::vector<uint32_t>& lengths) const;

  /// The end of a part of piece[from..] over which no token reaches: before a sign for a blank behind another
  /// character, where no token has those two in it. At least one character; the piece's end as a rule.
  size_t part_end(std::string_view piece, size_t from) const;

  /// Whether that is so behind every ASCII letter.
  bool parts_words() const;

 private:
  int32_t of_character(char32_t c) const;
  void append_bytes(std::string_view piece, std::vector<int32_t>& out, std::vector<uint32_t>& lengths) const;
  void append_characters(std::string_view piece, std::vector<int32_t>& out, std::vector<uint32_t>& lengths) const;

  bool characters_ = false;
  Bytes bytes_{};
  int32_t unk_ = kNoToken;
  bool fuse_unk_ = false;
  std::vector<int32_t> low_;                    // of characters below 2^16
  std::unordered_map<char32_t, int32_t> high_;  // of the others
  bool can_part_ = false;                       // the sign for a blank is a token
  std::unordered_set<char32_t> before_sign_;    // characters that some token has directly before that sign
};

}  // namespace ingrain::tokenizer
