#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

bool touches_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word_character(utf8_decode(text, utf8_begin(text, begin - 1)))) ||
         (end < text.size() && is_word_character(utf8_decode(text, end)));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  token_at_.push_back(kNone);
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    if (content.empty()) continue;
    first_bytes_.set(static_cast<uint8_t>(content[0]));
    uint32_t node = 0;
    for (const char c : content) {
      const auto [edge, is_new] =
          edges_.try_emplace(static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(c), token_at_.size());
      if (is_new) token_at_.push_back(kNone);
      node = edge->second;
    }
    token_at_[node] = i;
  }
}

// Index of the longest token that begins at `position`, or kNone.
size_t AddedTokenFinder::longest_at(std::string_view text, size_t position, size_t& length) const {
  uint32_t node = 0;
  size_t best = kNone;
  for (size_t i = position; i < text.size(); ++i) {
    const auto edge = edges_.find(static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (token_at_[node] == kNone) continue;
    best = token_at_[node];
    length = i + 1 - position;
  }
  return best;
}

void AddedTokenFinder::apply(const AddedToken& token, std::string_view text, size_t begin, size_t end, size_t& done,
                             std::vector<Segment>& out) const {
  if (token.lstrip) {
    size_t stripped = begin;
    while (stripped > done) {
      const size_t before = utf8_begin(text, stripped - 1);
      if (!is_white_space(utf8_decode(text, before))) break;
      stripped = before;
    }
    begin = std::max(stripped, done);
  }
  while (token.rstrip && end < text.size() && is_white_space(utf8_decode(text, end)))
    end += utf8_step(text, end).length;
  if (done < begin) out.push_back({done, begin, -1});
  out.push_back({begin, end, token.id});
  done = end;
}

std::vector<AddedTokenFinder::Segment> AddedTokenFinder::split(std::string_view text, Wanted wanted) const {
  std::vector<Segment> out;
  size_t done = 0;
  for (size_t i = 0; i < text.size() && !edges_.empty() && wanted != Wanted::none;) {
    size_t length = 0;
    const size_t found = first_bytes_[static_cast<uint8_t>(text[i])] ? longest_at(text, i, length) : kNone;
    if (found == kNone) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[found];
    const bool skipped =
        (token.special && wanted != Wanted::all) || (token.single_word && touches_word(text, i, i + length));
    if (!skipped) apply(token, text, i, i + length, done, out);
    i += length;
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
  return out;
}

}  // namespace ingrain::tokenizer
