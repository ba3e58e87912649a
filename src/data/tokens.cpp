#include "data/tokens.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/option_error.h"
#include "base/text.h"

#include <bit>
#include <cstring>
#include <limits>

namespace ingrain::data {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are mapped as they are: little-endian");

/// Calls visit(index, id) for every token until it returns false.
template <class T, class Visit>
uint64_t scan(const uint8_t* bytes, uint64_t count, Visit visit) {
  for (uint64_t i = 0; i < count; ++i) {
    T id;
    std::memcpy(&id, bytes + i * sizeof(T), sizeof(T));
    if (!visit(i, static_cast<uint32_t>(id))) return i;
  }
  return count;
}

}  // namespace

std::string_view token_type_name(TokenType type) { return type == TokenType::U16 ? "u16" : "u32"; }

TokenType token_type_from_name(std::string_view name) {
  if (name == "u16") return TokenType::U16;
  if (name == "u32") return TokenType::U32;
  fail_option("token_type", "'{}' is not known; choose u16 or u32", printable(name));
}

uint32_t TokenSpan::operator[](uint64_t index) const {
  uint32_t id = 0;
  std::memcpy(&id, bytes_ + index * token_bytes(type_), token_bytes(type_));
  return id;
}

uint64_t TokenSpan::copy_to(int32_t* out, uint32_t limit) const {
  const auto visit = [&](uint64_t i, uint32_t id) {
    out[i] = static_cast<int32_t>(id);
    return id < limit;
  };
  return type_ == TokenType::U16 ? scan<uint16_t>(bytes_, count_, visit) : scan<uint32_t>(bytes_, count_, visit);
}

uint64_t TokenSpan::find_beyond(uint32_t limit) const {
  const auto visit = [&](uint64_t, uint32_t id) { return id < limit; };
  return type_ == TokenType::U16 ? scan<uint16_t>(bytes_, count_, visit) : scan<uint32_t>(bytes_, count_, visit);
}

RawTokenFile::RawTokenFile(const std::filesystem::path& path, TokenType type) : file_(path) {
  require_no_other_kind(path, "raw tokens", "'ingrain data prepare' makes tokens of texts");
  if (file_.size() % token_bytes(type) != 0) {
    fail("{}: {} bytes are not a whole number of {} tokens; check the type, or the file is cut off", path.string(),
         file_.size(), token_type_name(type));
  }
  tokens_ = TokenSpan(file_.data(), file_.size() / token_bytes(type), type);
}

std::vector<int32_t> read_raw_tokens(const std::filesystem::path& path, TokenType type) {
  const RawTokenFile file(path, type);
  std::vector<int32_t> out(file.tokens().size());
  constexpr uint32_t limit = static_cast<uint32_t>(std::numeric_limits<int32_t>::max());
  const uint64_t bad = file.tokens().copy_to(out.data(), limit);
  require(bad == out.size(), "{}: token {} is {}, which is not an id; the file does not hold u32 tokens", path.string(),
          bad, bad < out.size() ? file.tokens()[bad] : 0);
  return out;
}

}  // namespace ingrain::data
