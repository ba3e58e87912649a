#include "tokenizer/vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/byte_alphabet.h"

namespace ingrain::tokenizer {
namespace {

std::optional<int32_t> find_in(const std::unordered_map<std::string_view, int32_t>& index, std::string_view key) {
  const auto found = index.find(key);
  return found == index.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Vocabulary::Vocabulary(const TokenizerSpec& spec) {
  size_t size = spec.tokens.size();
  for (const AddedToken& token : spec.added_tokens) {
    require(token.id >= 0 && token.id < kMaxTokenId, "{}: the added token '{}' has the id {}; ids are 0 to {}",
            spec.source, printable(token.content), token.id, kMaxTokenId - 1);
    size = std::max(size, static_cast<size_t>(token.id) + 1);
  }
  require(spec.tokens.size() <= static_cast<size_t>(kMaxTokenId), "{}: {} tokens; at most {} are accepted", spec.source,
          spec.tokens.size(), kMaxTokenId);
  require(size > 0, "{}: the vocabulary is empty", spec.source);
  bytes_.resize(size);
  special_.resize(size);
  add_ordinary(spec);
  add_added(spec);
}

void Vocabulary::add_ordinary(const TokenizerSpec& spec) {
  by_bytes_.reserve(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& written = spec.tokens[id];
    if (written.empty()) continue;
    const auto bytes = read_bytes(written);
    bytes_[id] = bytes ? *bytes : written;
    Index& index = bytes ? by_bytes_ : by_literal_;
    const auto [entry, is_new] = index.emplace(bytes_[id], static_cast<int32_t>(id));
    require(is_new, "{}: the token '{}' has two ids, {} and {}", spec.source, printable(written), entry->second, id);
  }
}

void Vocabulary::add_added(const TokenizerSpec& spec) {
  for (const AddedToken& token : spec.added_tokens) {
    require(!token.content.empty(), "{}: the added token with id {} is empty", spec.source, token.id);
    const size_t id = static_cast<size_t>(token.id);
    const auto known = find_written(token.content);
    require(!known || *known == token.id, "{}: the added token '{}' has the id {}, but the vocabulary says {}",
            spec.source, printable(token.content), token.id, known.value_or(0));
    require(bytes_[id].empty() || known == token.id, "{}: the ids of '{}' and of the added token '{}' are both {}",
            spec.source, printable(bytes_[id]), printable(token.content), token.id);
    // An ordinary token that is added too is found as what it says. It still stands for what its alphabet spells
    // ("ä" for the byte E4, which other characters have, too) if BPE can make it.
    if (bytes_[id] != token.content && !bpe_makes(token.id, spec)) {
      if (find_piece(bytes_[id]) == token.id) by_bytes_.erase(bytes_[id]);
      bytes_[id] = token.content;
    }
    by_added_[contents_.emplace_back(token.content)] = token.id;
    special_[id] = special_[id] || token.special;
  }
}

// Whether the ordinary token `id` is a byte, or what two others become together.
bool Vocabulary::bpe_makes(int32_t id, const TokenizerSpec& spec) const {
  const std::string& bytes = bytes_[static_cast<size_t>(id)];
  if (bytes.empty() || find_piece(bytes) != id) return false;
  if (bytes.size() == 1 || spec.merges_by_rank) return true;
  const std::string& written = spec.tokens[static_cast<size_t>(id)];
  return std::any_of(spec.merges.begin(), spec.merges.end(), [&](const auto& merge) {
    const auto& [left, right] = merge;
    return left.size() + right.size() == written.size() && written.starts_with(left) && written.ends_with(right);
  });
}

std::optional<int32_t> Vocabulary::find_piece(std::string_view piece) const { return find_in(by_bytes_, piece); }

std::optional<int32_t> Vocabulary::find_written(std::string_view written) const {
  if (const auto added = find_in(by_added_, written)) return added;
  if (const auto bytes = read_bytes(written)) return find_in(by_bytes_, *bytes);
  return find_in(by_literal_, written);
}

std::array<int32_t, 256> Vocabulary::byte_tokens() const {
  std::array<int32_t, 256> out;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    out[byte] = find_piece({&c, 1}).value_or(Bpe::kNoToken);
  }
  return out;
}

int32_t Vocabulary::unk(const TokenizerSpec& spec) const {
  if (!spec.unk_token) return Bpe::kNoToken;
  const auto id = find_written(*spec.unk_token);
  require(id.has_value(), "{}: field 'unk_token' is '{}', which is not a token", spec.source,
          printable(*spec.unk_token));
  return *id;
}

std::vector<Merge> Vocabulary::merges(const TokenizerSpec& spec) const {
  if (spec.merges_by_rank) return merges_of_ranks();
  std::vector<Merge> out;
  out.reserve(spec.merges.size());
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const std::string& left = spec.merges[i].first;
    const std::string& right = spec.merges[i].second;
    const auto id_of = [&](const std::string& written) {
      const auto id = find_written(written);
      require(id.has_value(), "{}: field 'merges', entry {} ('{}' '{}'): '{}' is not in the vocabulary", spec.source, i,
              printable(left), printable(right), printable(written));
      return *id;
    };
    out.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return out;
}

// Every way in which a token is the concatenation of two tokens, in the order of the ids.
std::vector<Merge> Vocabulary::merges_of_ranks() const {
  constexpr size_t kMaxSpelled = 1024;  // longer tokens are reached whole, if at all
  std::vector<Merge> out;
  for (size_t id = 0; id < bytes_.size(); ++id) {
    const std::string_view bytes = bytes_[id];
    if (bytes.size() < 2 || bytes.size() > kMaxSpelled || find_piece(bytes) != static_cast<int32_t>(id)) continue;
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto left = find_piece(bytes.substr(0, cut)), right = find_piece(bytes.substr(cut));
      if (left && right) out.push_back({*left, *right, static_cast<int32_t>(id)});
    }
  }
  return out;
}

}  // namespace ingrain::tokenizer
