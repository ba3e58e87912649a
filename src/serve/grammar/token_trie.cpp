#include "serve/grammar/token_trie.h"

#include "serve/grammar/json_string.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kCountedCharacters = 32;  // few tokens are longer

/// Characters of a plain token; nothing if it is not plain.
std::optional<uint64_t> plain_characters(std::string_view bytes) {
  JsonString state;
  for (const char byte : bytes)
    if (static_cast<uint8_t>(byte) == '\\' || state.step(static_cast<uint8_t>(byte)) != JsonString::Step::on)
      return std::nullopt;
  if (!state.between_characters()) return std::nullopt;
  return state.characters;
}

void add(std::span<uint64_t> bits, const std::vector<uint64_t>& more) {
  const size_t n = std::min(bits.size(), more.size());
  for (size_t i = 0; i < n; ++i) bits[i] |= more[i];
}

}  // namespace

TokenTrie::TokenTrie(const tokenizer::Tokenizer& tokenizer) : tokens_(tokenizer.vocab_size()) {
  for (const tokenizer::AddedToken& token : tokenizer.added_tokens()) {
    control_.emplace(token.content, token.id);
    spellings_.emplace(token.id, std::pair(token.content, tokenizer.is_special(token.id)));
  }
  std::vector<bool> added(tokens_.size());
  for (const auto& [spelling, id] : control_)
    if (static_cast<size_t>(id) < added.size()) added[static_cast<size_t>(id)] = true;
  std::vector<int32_t> ids;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (added[i] || tokenizer.is_special(id)) continue;
    tokens_[i] = tokenizer.id_to_bytes(id);
    if (!tokens_[i].empty()) ids.push_back(id);
  }
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    return tokens_[static_cast<size_t>(a)] < tokens_[static_cast<size_t>(b)];
  });
  const std::vector<int32_t> with_equals = ids;
  ids.clear();
  for (const int32_t id : with_equals)
    if (!ids.empty() && bytes(ids.back()) == bytes(id))
      same_.emplace_back(id, ids.back());
    else
      ids.push_back(id);

  const size_t words = (tokens_.size() + 63) / 64;
  text_.resize(words);
  plain_.assign(kCountedCharacters + 1, Words(words));
  std::vector<int32_t> others;
  for (const int32_t id : ids) {
    const auto characters = plain_characters(bytes(id));
    if (!characters)
      others.push_back(id);
    else if (*characters > kCountedCharacters)
      long_.emplace_back(*characters, id);
    else
      for (size_t k = *characters; k <= kCountedCharacters; ++k) set_bit(plain_[k], id);
  }
  std::sort(long_.begin(), long_.end());
  for (const int32_t id : with_equals) set_bit(text_, id);
  all_ = build(ids);
  not_plain_ = build(others);
}

std::vector<TokenTrie::Node> TokenTrie::build(const std::vector<int32_t>& sorted) const {
  std::vector<Node> out;
  std::vector<uint32_t> open;  // the nodes of the last token's bytes
  std::string_view last;
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) out[open.back()].end = static_cast<uint32_t>(out.size());
  };
  for (const int32_t id : sorted) {
    const std::string_view token = bytes(id);
    const auto parted = std::mismatch(last.begin(), last.end(), token.begin(), token.end());
    close_to(static_cast<size_t>(parted.second - token.begin()));
    while (open.size() < token.size()) {
      const auto depth = static_cast<uint32_t>(open.size());
      open.push_back(static_cast<uint32_t>(out.size()));
      out.push_back({0, depth, -1, static_cast<uint8_t>(token[depth])});
    }
    out.back().token = id;
    last = token;
  }
  close_to(0);
  return out;
}

void TokenTrie::add_plain(std::span<uint64_t> bits, uint64_t characters) const {
  add(bits, plain_[std::min<uint64_t>(characters, kCountedCharacters)]);
  for (const auto& [length, id] : long_) {
    if (length > characters) break;
    set_bit(bits, id);
  }
}

void TokenTrie::add_equals(std::span<uint64_t> bits) const {
  for (const auto& [id, equal] : same_)
    if (has_bit(bits, equal)) set_bit(bits, id);
}

void TokenTrie::add_text(std::span<uint64_t> bits) const { add(bits, text_); }

std::string_view TokenTrie::bytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= tokens_.size()) return {};
  return tokens_[static_cast<size_t>(id)];
}

std::optional<int32_t> TokenTrie::control(std::string_view spelling) const {
  const auto found = control_.find(spelling);
  if (found == control_.end()) return std::nullopt;
  return found->second;
}

std::string_view TokenTrie::spelling(int32_t id, std::span<const std::string_view> marks) const {
  const auto found = spellings_.find(id);
  if (found == spellings_.end()) return {};
  const auto& [spelling, special] = found->second;
  return !special || std::find(marks.begin(), marks.end(), spelling) != marks.end() ? spelling : std::string_view();
}

}  // namespace ingrain::serve
