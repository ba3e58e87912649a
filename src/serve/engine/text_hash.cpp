#include "serve/engine/text_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr uint64_t kPieceBytes = 2048;

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

void TextHasher::add(const tokenizer::Tokenizer& tokenizer, int32_t token) {
  if (!tokenizer.is_special(token)) return state_->add(tokenizer.id_to_bytes(token));
  // 0xFF is in no UTF-8 text.
  char bytes[5] = {'\xff', static_cast<char>(token), static_cast<char>(token >> 8), static_cast<char>(token >> 16),
                   static_cast<char>(token >> 24)};
  state_->add({bytes, sizeof bytes});
}

void TextHasher::add_bytes(std::string_view text) { state_->add(text); }

TextHash TextHasher::hash() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(&state_->xxh);
  return {state_->length, digest.high64, digest.low64};
}

uint64_t TextHasher::length() const { return state_->length; }

Beginnings::Beginnings(const tokenizer::Tokenizer& tokenizer, std::string_view base, std::span<const int32_t> tokens)
    : tokenizer_(tokenizer), tokens_(tokens) {
  TextHasher hasher(base);
  marks_.push_back({hasher, 0});
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (hasher.length() - marks_.back().before.length() >= kPieceBytes) marks_.push_back({hasher, i});
    hasher.add(tokenizer, tokens[i]);
  }
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
        hasher.add(tokenizer_, token);
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
