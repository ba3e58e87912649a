#include "serve/engine/text_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kPieceBytes = 2048;

/// What a token is to the hash.
void append(std::string& out, const tokenizer::Tokenizer& tokenizer, int32_t token) {
  if (!tokenizer.is_special(token)) {
    out += tokenizer.id_to_bytes(token);
    return;
  }
  // 0xFF is in no UTF-8 text.
  for (const uint32_t byte : {0xffu, static_cast<uint32_t>(token), static_cast<uint32_t>(token) >> 8,
                              static_cast<uint32_t>(token) >> 16, static_cast<uint32_t>(token) >> 24})
    out += static_cast<char>(byte);
}

}  // namespace

struct TextHasher::State {
  XXH3_state_t xxh;
  uint64_t length = 0;

  void add(std::string_view bytes) {
    XXH3_128bits_update(&xxh, bytes.data(), bytes.size());
    length += bytes.size();
  }
};

TextHasher::TextHasher(std::string_view base) : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
  if (!base.empty()) state_->add(base);
}
TextHasher::TextHasher(const TextHasher& other) : state_(std::make_unique<State>(*other.state_)) {}
TextHasher& TextHasher::operator=(const TextHasher& other) {
  *state_ = *other.state_;
  return *this;
}
TextHasher::~TextHasher() = default;

void TextHasher::add(const tokenizer::Tokenizer& tokenizer, std::span<const int32_t> tokens) {
  std::string piece;  // a token alone is little for the hash
  for (const int32_t token : tokens) {
    append(piece, tokenizer, token);
    if (piece.size() < kPieceBytes) continue;
    state_->add(piece);
    piece.clear();
  }
  state_->add(piece);
}

void TextHasher::add_bytes(std::string_view text) { state_->add(text); }

TextHash TextHasher::hash() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(&state_->xxh);
  return {state_->length, digest.high64, digest.low64};
}

Beginnings::Beginnings(const tokenizer::Tokenizer& tokenizer, std::string_view base, std::span<const int32_t> tokens)
    : tokenizer_(tokenizer), tokens_(tokens) {
  TextHasher hasher(base);
  marks_.push_back({hasher, 0});
  std::string piece;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (piece.size() >= kPieceBytes) {
      hasher.add_bytes(piece);
      marks_.push_back({hasher, i});
      piece.clear();
    }
    append(piece, tokenizer, tokens[i]);
  }
  hasher.add_bytes(piece);
  whole_ = hasher.hash();
}

std::vector<TextHash> Beginnings::next() {
  std::vector<TextHash> out;
  while (out.empty() && !marks_.empty()) {
    TextHasher hasher = marks_.back().before;
    const std::span<const int32_t> piece = tokens_.subspan(marks_.back().token);
    tokens_ = tokens_.first(marks_.back().token);
    marks_.pop_back();
    if (marks_.empty()) out.push_back(hasher.hash());
    for (const int32_t token : piece) {
      if (tokenizer_.is_special(token)) {
        hasher.add(tokenizer_, {&token, 1});
        out.push_back(hasher.hash());
        continue;
      }
      for (const char byte : tokenizer_.id_to_bytes(token)) {
        hasher.add_bytes({&byte, 1});
        out.push_back(hasher.hash());
      }
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace ingrain::serve
