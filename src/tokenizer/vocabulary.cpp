#include "tokenizer/vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/implied_merges.h"

namespace ingrain::tokenizer {
namespace {

std::optional<int32_t> find_in(const std::unordered_map<std::string_view, int32_t>& index, std::string_view key) {
  const auto found = index.find(key);
  return found == index.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Vocabulary::Vocabulary(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer)
    : alphabet_(spec.alphabet) {
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
  if (alphabet_ == Alphabet::characters) surfaces_.resize(size);
  there_.resize(size);
  special_.resize(size);
  add_ordinary(spec, decoder);
  add_added(spec, decoder, normalizer);
}

void Vocabulary::add_ordinary(const TokenizerSpec& spec, const Decoder& decoder) {
  by_surface_.reserve(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& written = spec.tokens[id];
    if (written.empty()) continue;
    there_[id] = true;
    Index* index = &by_surface_;
    std::string_view key;
    if (alphabet_ == Alphabet::characters) {
      key = surfaces_[id] = written;
      bytes_[id] = decoder.token(written);
    } else {
      const auto bytes = read_bytes(written);
      key = bytes_[id] = bytes ? *bytes : written;
      if (!bytes) index = &by_literal_;
    }
    const auto [entry, is_new] = index->emplace(key, static_cast<int32_t>(id));
    require(is_new, "{}: the token '{}' has two ids, {} and {}", spec.source, printable(written), entry->second, id);
  }
}

void Vocabulary::add_added(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer) {
  for (const AddedToken& token : spec.added_tokens) {
    require(!token.content.empty(), "{}: the added token with id {} is empty", spec.source, token.id);
    const auto id = static_cast<size_t>(token.id);
    const auto known = find_written(token.content);
    require(!known || *known == token.id, "{}: the added token '{}' has the id {}, but the vocabulary says {}",
            spec.source, printable(token.content), token.id, known.value_or(0));
    require(!there_[id] || known == token.id, "{}: the ids of '{}' and of the added token '{}' are both {}",
            spec.source, printable(bytes_[id]), printable(token.content), token.id);
    there_[id] = true;
    if (alphabet_ == Alphabet::characters) {
      // It is found by its normalized form, "▁<x>" say, and stands for all of that.
      bytes_[id] = decoder.token(token.normalized ? normalizer.normalize(token.content) : token.content);
      if (surfaces_[id].empty()) surfaces_[id] = token.content;
    } else if (bytes_[id] != token.content && !bpe_makes(token.id, spec)) {
      // An ordinary token that is added too is found as what it says. It still stands for what its alphabet spells
      // ("ä" for the byte E4, which other characters have, too) if BPE can make it.
      if (find_piece(bytes_[id]) == token.id) by_surface_.erase(bytes_[id]);
      bytes_[id] = token.content;
    }
    by_added_[contents_.emplace_back(token.content)] = token.id;
    special_[id] = special_[id] || token.special;
  }
}

std::string_view Vocabulary::surface(int32_t id) const {
  return alphabet_ == Alphabet::characters && has(id) ? std::string_view(surfaces_[id]) : bytes(id);
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

std::optional<int32_t> Vocabulary::find_piece(std::string_view piece) const { return find_in(by_surface_, piece); }

std::optional<int32_t> Vocabulary::find_written(std::string_view written) const {
  if (const auto added = find_in(by_added_, written)) return added;
  if (alphabet_ == Alphabet::characters) return find_in(by_surface_, written);
  if (const auto bytes = read_bytes(written)) return find_in(by_surface_, *bytes);
  return find_in(by_literal_, written);
}

Symbols::Bytes Vocabulary::byte_tokens(const TokenizerSpec& spec) const {
  Symbols::Bytes out;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string written = alphabet_ == Alphabet::bytes ? std::string(1, c) : fmt::format("<0x{:02X}>", byte);
    const bool wanted = alphabet_ == Alphabet::bytes || spec.byte_fallback;
    out[byte] = wanted ? find_piece(written).value_or(Symbols::kNoToken) : Symbols::kNoToken;
  }
  return out;
}

Symbols Vocabulary::symbols(const TokenizerSpec& spec) const {
  if (alphabet_ == Alphabet::bytes) return Symbols::of_bytes(byte_tokens(spec), unk(spec), spec.fuse_unk);
  std::unordered_map<char32_t, int32_t> of_character;
  std::vector<std::string_view> surfaces;
  for (const auto& [surface, id] : by_surface_) {
    surfaces.push_back(surface);
    const Utf8Step step = utf8_step(surface, 0);
    if (step.kind == Utf8::valid && step.length == surface.size() && !special_[static_cast<size_t>(id)])
      of_character[utf8_decode(surface, 0)] = id;
  }
  return Symbols::of_characters(of_character, byte_tokens(spec), unk(spec), spec.fuse_unk, surfaces);
}

int32_t Vocabulary::unk(const TokenizerSpec& spec) const {
  if (!spec.unk_token) return Symbols::kNoToken;
  const auto id = find_written(*spec.unk_token);
  require(id.has_value(), "{}: field 'unk_token' is '{}', which is not a token", spec.source,
          printable(*spec.unk_token));
  return *id;
}

std::vector<Merge> Vocabulary::merges(const TokenizerSpec& spec) const {
  if (spec.merges_by_rank || spec.merges_by_score) return implied_merges(spec, *this);
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
    out.push_back({id_of(left), id_of(right), id_of(left + right), static_cast<uint32_t>(i)});
  }
  return out;
}

UnigramTokens Vocabulary::unigram(const TokenizerSpec& spec) const {
  constexpr double kUnknownPenalty = 10;  // below the least probable token
  UnigramTokens out;
  out.scores = spec.scores;
  double least = std::numeric_limits<double>::infinity();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.tokens[id].empty() || spec.scores[id] == TokenizerSpec::kNeverMerged) continue;
    least = std::min(least, spec.scores[id]);
    // Special tokens come out of no text.
    if (!special_[id]) out.tokens.emplace_back(surfaces_[id], static_cast<int32_t>(id));
  }
  out.unknown_score = least - kUnknownPenalty;
  if (spec.unk_token) out.unk = unk(spec);
  out.bytes = byte_tokens(spec);
  return out;
}

}  // namespace ingrain::tokenizer
