#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/implied_merges.h"

namespace ingrain::tokenizer {
namespace {

template <class Index, class Key>
std::optional<int32_t> find_in(const Index& index, const Key& key) {
  const auto found = index.find(key);
  return found == index.end() ? std::nullopt : std::optional(found->second);
}

/// Error for ids that cannot be.
size_t ids_of(const TokenizerSpec& spec) {
  size_t size = spec.tokens.size();
  for (const AddedToken& token : spec.added_tokens) {
    require(token.id >= 0 && token.id < kMaxTokenId, "{}: the added token '{}' has the id {}; ids are 0 to {}",
            spec.source, printable(token.content), token.id, kMaxTokenId - 1);
    size = std::max(size, static_cast<size_t>(token.id) + 1);
  }
  require(spec.tokens.size() <= static_cast<size_t>(kMaxTokenId), "{}: {} tokens; at most {} are accepted", spec.source,
          spec.tokens.size(), kMaxTokenId);
  require(size > 0, "{}: the vocabulary is empty", spec.source);
  return size;
}

/// What the texts take, about: added ones may be longer.
size_t text_bytes(const TokenizerSpec& spec) {
  size_t bytes = 0;
  for (const std::string& token : spec.tokens) bytes += token.size();
  for (const AddedToken& token : spec.added_tokens) bytes += token.content.size();
  require(bytes <= std::numeric_limits<uint32_t>::max() / 4, "{}: the tokens have {} bytes, more than are accepted",
          spec.source, bytes);
  return bytes;
}

}  // namespace

void TextsById::set(size_t id, std::string_view text) {
  places_[id] = {static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())};
  bytes_ += text;
}

IdsByText::IdsByText(size_t ids) : slots_(std::bit_ceil(std::max<size_t>(2 * ids, 16)), kFree) {}

size_t IdsByText::place_of(std::string_view text, const TextsById& texts) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(text) & mask;
  while (slots_[slot] != kFree && (slots_[slot] == kErased || texts[static_cast<size_t>(slots_[slot])] != text))
    slot = (slot + 1) & mask;
  return slot;
}

std::optional<int32_t> IdsByText::find(std::string_view text, const TextsById& texts) const {
  const int32_t id = slots_[place_of(text, texts)];
  return id == kFree ? std::nullopt : std::optional(id);
}

int32_t IdsByText::insert(int32_t id, const TextsById& texts) {
  int32_t& there = slots_[place_of(texts[static_cast<size_t>(id)], texts)];
  if (there == kFree) there = id;
  return there;
}

void IdsByText::erase(int32_t id, const TextsById& texts) {
  int32_t& there = slots_[place_of(texts[static_cast<size_t>(id)], texts)];
  if (there == id) there = kErased;
}

Vocabulary::Vocabulary(const TokenizerSpec& spec, const Decoder& decoder, const Normalizer& normalizer)
    : alphabet_(spec.alphabet),
      bytes_(ids_of(spec), text_bytes(spec)),
      surfaces_(alphabet_ == Alphabet::characters ? size() : 0,
                alphabet_ == Alphabet::characters ? text_bytes(spec) : 0),
      there_(size()),
      special_(size()),
      by_surface_(spec.tokens.size()) {
  add_ordinary(spec, decoder);
  add_added(spec, decoder, normalizer);
}

void Vocabulary::add_ordinary(const TokenizerSpec& spec, const Decoder& decoder) {
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string& written = spec.tokens[i];
    if (written.empty()) continue;
    const auto id = static_cast<int32_t>(i);
    there_[i] = true;
    int32_t first = id;
    if (alphabet_ == Alphabet::characters) {
      surfaces_.set(i, written);
      bytes_.set(i, decoder.token(written));
      first = by_surface_.insert(id, surfaces_);
    } else if (const auto bytes = read_bytes(written)) {
      bytes_.set(i, *bytes);
      first = by_surface_.insert(id, bytes_);
    } else {
      bytes_.set(i, written);
      first = by_literal_.emplace(written, id).first->second;
    }
    require(first == id, "{}: the token '{}' has two ids, {} and {}", spec.source, printable(written), first, id);
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
      bytes_.set(id, decoder.token(token.normalized ? normalizer.normalize(token.content) : token.content));
      if (surfaces_[id].empty()) surfaces_.set(id, token.content);
    } else if (bytes_[id] != token.content && !bpe_makes(token.id, spec)) {
      // An ordinary token that is added too is found as what it says. It still stands for what its alphabet spells
      // ("ä" for the byte E4, which other characters have, too) if BPE can make it.
      by_surface_.erase(token.id, bytes_);
      bytes_.set(id, token.content);
    }
    by_added_[contents_.emplace_back(token.content)] = token.id;
    special_[id] = special_[id] || token.special;
  }
}

std::string_view Vocabulary::surface(int32_t id) const {
  return alphabet_ == Alphabet::characters && has(id) ? surfaces_[id] : bytes(id);
}

// Whether the ordinary token `id` is a byte, or what two others become together.
bool Vocabulary::bpe_makes(int32_t id, const TokenizerSpec& spec) const {
  const std::string_view bytes = bytes_[static_cast<size_t>(id)];
  if (bytes.empty() || find_piece(bytes) != id) return false;
  if (bytes.size() == 1 || spec.merges_by_rank) return true;
  const std::string& written = spec.tokens[static_cast<size_t>(id)];
  return std::any_of(spec.merges.begin(), spec.merges.end(), [&](const auto& merge) {
    const auto& [left, right] = merge;
    return left.size() + right.size() == written.size() && written.starts_with(left) && written.ends_with(right);
  });
}

std::optional<int32_t> Vocabulary::find_piece(std::string_view piece) const {
  return by_surface_.find(piece, surfaces());
}

std::optional<int32_t> Vocabulary::find_written(std::string_view written) const {
  if (const auto added = find_in(by_added_, written)) return added;
  if (alphabet_ == Alphabet::characters) return find_piece(written);
  if (const auto bytes = read_bytes(written)) return find_piece(*bytes);
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
  for (int32_t id = 0; static_cast<size_t>(id) < size(); ++id) {
    const std::string_view surface = surfaces_[static_cast<size_t>(id)];
    if (surface.empty() || find_piece(surface) != id) continue;
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
