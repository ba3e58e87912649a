#include "tokenizer/symbols.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {
namespace {

constexpr char32_t kLow = 0x10000, kSign = 0x2581;

}  // namespace

Symbols Symbols::of_bytes(const Bytes& bytes, int32_t unk, bool fuse_unk) {
  Symbols out;
  out.bytes_ = bytes;
  out.unk_ = unk;
  out.fuse_unk_ = fuse_unk;
  return out;
}

Symbols Symbols::of_characters(const std::unordered_map<char32_t, int32_t>& of_character, const Bytes& bytes,
                               int32_t unk, bool fuse_unk, const std::vector<std::string_view>& tokens) {
  Symbols out = of_bytes(bytes, unk, fuse_unk);
  out.characters_ = true;
  out.low_.assign(kLow, kNoToken);
  for (const auto& [c, token] : of_character) {
    if (c < kLow)
      out.low_[c] = token;
    else
      out.high_.emplace(c, token);
  }
  out.can_part_ = out.low_[kSign] != kNoToken;
  for (const std::string_view token : tokens) {
    char32_t before = kSign;
    for (size_t i = 0; i < token.size(); i += utf8_step(token, i).length) {
      const char32_t c = utf8_decode(token, i);
      if (c == kSign && before != kSign) out.before_sign_.insert(before);
      before = c;
    }
  }
  return out;
}

int32_t Symbols::of_character(char32_t c) const {
  if (c < kLow) return low_[c];
  const auto found = high_.find(c);
  return found == high_.end() ? kNoToken : found->second;
}

void Symbols::append(std::string_view piece, std::vector<int32_t>& out, std::vector<uint32_t>& lengths) const {
  if (characters_)
    append_characters(piece, out, lengths);
  else
    append_bytes(piece, out, lengths);
}

void Symbols::append_bytes(std::string_view piece, std::vector<int32_t>& out, std::vector<uint32_t>& lengths) const {
  bool after_unk = false;
  for (const char c : piece) {
    const int32_t token = bytes_[static_cast<uint8_t>(c)];
    if (token != kNoToken) {
      out.push_back(token);
      lengths.push_back(1);
    } else if (unk_ != kNoToken && !(fuse_unk_ && after_unk)) {
      out.push_back(unk_);
      lengths.push_back(1);
    } else if (!lengths.empty()) {
      ++lengths.back();  // with what stands before it
    }
    after_unk = token == kNoToken;
  }
}

// An unknown character waits for the next known one, before which it is put: so bytes, which stand for unknown
// characters themselves, come before it. As in Hugging Face's library.
void Symbols::append_characters(std::string_view piece, std::vector<int32_t>& out,
                                std::vector<uint32_t>& lengths) const {
  uint32_t unknown = 0;  // bytes of what waits
  const auto flush = [&] {
    if (unknown == 0) return;
    out.push_back(unk_);
    lengths.push_back(unknown);
    unknown = 0;
  };
  for (size_t i = 0; i < piece.size();) {
    const bool whole = utf8_step(piece, i).kind == Utf8::valid;
    const uint32_t length = whole ? utf8_step(piece, i).length : 1;
    const std::string_view part = piece.substr(i, length);
    const int32_t token = whole ? of_character(utf8_decode(piece, i)) : kNoToken;
    i += length;
    if (token != kNoToken) {
      flush();
      out.push_back(token);
      lengths.push_back(length);
    } else if (std::all_of(part.begin(), part.end(), [&](char c) { return bytes_[static_cast<uint8_t>(c)] >= 0; })) {
      for (const char c : part) {
        out.push_back(bytes_[static_cast<uint8_t>(c)]);
        lengths.push_back(1);
      }
    } else if (unk_ != kNoToken) {
      if (!fuse_unk_) flush();
      unknown += length;
    } else if (!lengths.empty()) {
      lengths.back() += length;
    }
  }
  flush();
}

size_t Symbols::part_end(std::string_view piece, size_t from) const {
  if (!can_part_) return piece.size();
  for (size_t at = from + 1; (at = piece.find(kBlankSign, at)) != piece.npos; ++at) {
    const size_t before = utf8_begin(piece, at - 1, from);
    if (utf8_step(piece, before).kind != Utf8::valid) continue;
    const char32_t c = utf8_decode(piece, before);
    // A character without a token of its own is bytes, or part of a run of unknown ones.
    if (c != kSign && of_character(c) != kNoToken && !before_sign_.contains(c)) return at;
  }
  return piece.size();
}

bool Symbols::parts_words() const {
  // A letter without a token is bytes, the last of which is written with a '>'.
  const auto parts = [&](char32_t c) {
    return !before_sign_.contains(c) && (of_character(c) != kNoToken || !before_sign_.contains('>'));
  };
  if (!can_part_) return false;
  for (char32_t c = 'a'; c <= 'z'; ++c)
    if (!parts(c) || !parts(c - 'a' + 'A')) return false;
  return true;
}

}  // namespace ingrain::tokenizer
