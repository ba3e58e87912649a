// Tokens as they lie in files: little-endian u16 or u32, mapped, read as int32.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace ingrain::data {

/// The value is the number of bytes.
enum class TokenType : uint16_t { U16 = 2, U32 = 4 };

inline size_t token_bytes(TokenType type) { return static_cast<size_t>(type); }
/// "u16" or "u32".
std::string_view token_type_name(TokenType type);
/// The other way; OptionError for any other word.
TokenType token_type_from_name(std::string_view name);
/// The smallest type that holds every id of a vocabulary.
inline TokenType token_type_for(uint32_t vocab_size) { return vocab_size <= 65'536 ? TokenType::U16 : TokenType::U32; }

/// A view of tokens in memory that someone else keeps alive. Cheap to copy; any number of threads may read.
class TokenSpan {
 public:
  TokenSpan() = default;
  TokenSpan(const uint8_t* bytes, uint64_t count, TokenType type) : bytes_(bytes), count_(count), type_(type) {}

  uint64_t size() const { return count_; }
  TokenType type() const { return type_; }
  const uint8_t* bytes() const { return bytes_; }
  /// REQUIRES: index < size().
  uint32_t operator[](uint64_t index) const;
  /// The part [begin, begin + count). REQUIRES: it lies inside.
  TokenSpan part(uint64_t begin, uint64_t count) const { return {bytes_ + begin * token_bytes(type_), count, type_}; }
  /// Writes all tokens to out[0..size()). Returns the index of the first id >= limit, or size() if there is
  /// none.
  uint64_t copy_to(int32_t* out, uint32_t limit) const;
  /// The index of the first id >= limit, or size().
  uint64_t find_beyond(uint32_t limit) const;

 private:
  const uint8_t* bytes_ = nullptr;
  uint64_t count_ = 0;
  TokenType type_ = TokenType::U16;
};

/// A file of nothing but tokens (NumPy's tofile), mapped. Movable; any number of threads may read.
/// Error if the size is no multiple of the type's.
class RawTokenFile {
 public:
  RawTokenFile(const std::filesystem::path& path, TokenType type);
  TokenSpan tokens() const { return tokens_; }

 private:
  MappedFile file_;
  TokenSpan tokens_;
};

/// A whole raw file as numbers. Error if an id does not fit int32.
std::vector<int32_t> read_raw_tokens(const std::filesystem::path& path, TokenType type);

}  // namespace ingrain::data
