#include "tokenizer/model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ingrain::tokenizer {
namespace {

std::variant<Bpe, Unigram> make_model(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  const bool scored = spec.model == ModelKind::unigram || spec.merges_by_score;
  require(!scored || spec.scores.size() == spec.tokens.size(), "{}: {} scores for {} tokens", spec.source,
          spec.scores.size(), spec.tokens.size());
  require(std::none_of(spec.scores.begin(), spec.scores.end(), [](double score) { return std::isnan(score); }),
          "{}: a score is not a number", spec.source);
  if (spec.model == ModelKind::bpe) return Bpe(vocabulary.symbols(spec), vocabulary.merges(spec));
  require(spec.alphabet == Alphabet::characters,
          "{}: a Unigram model over bytes (a ByteLevel pre-tokenizer) is not supported", spec.source);
  return Unigram(vocabulary.unigram(spec), spec.source);
}

}  // namespace

Model::Model(const TokenizerSpec& spec, const Vocabulary& vocabulary)
    : vocabulary_(vocabulary), ignore_merges_(spec.ignore_merges), kind_(make_model(spec, vocabulary)) {}

size_t Model::part_end(std::string_view piece, size_t from) const {
  const Bpe* const bpe = std::get_if<Bpe>(&kind_);
  return bpe && !ignore_merges_ ? bpe->part_end(piece, from) : piece.size();
}

void Model::encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out,
                        std::vector<uint32_t>* lengths) const {
  if (ignore_merges_) {
    const auto whole = vocabulary_.find_piece(part);
    if (whole && !vocabulary_.is_special(*whole)) {
      out.push_back(*whole);
      if (lengths) lengths->push_back(static_cast<uint32_t>(part.size()));
      return;
    }
  }
  if (const Bpe* const bpe = std::get_if<Bpe>(&kind_))
    bpe->encode(part, scratch.bpe, out, lengths);
  else
    std::get<Unigram>(kind_).encode(part, scratch.unigram, out, lengths);
}

void Model::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  for (size_t begin = 0; begin < piece.size();) {
    const size_t end = part_end(piece, begin);
    const std::string_view part = piece.substr(begin, end - begin);
    scratch.words.append(part, out, [&](std::vector<int32_t>& ids) { encode_part(part, scratch, ids, nullptr); });
    begin = end;
  }
}

void Model::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
                   std::vector<uint32_t>& lengths) const {
  for (size_t begin = 0; begin < piece.size();) {
    const size_t end = part_end(piece, begin);
    encode_part(piece.substr(begin, end - begin), scratch, out, &lengths);
    begin = end;
  }
}

bool Model::parts_words() const {
  const Bpe* const bpe = std::get_if<Bpe>(&kind_);
  return bpe && !ignore_merges_ && bpe->parts_words();
}

}  // namespace ingrain::tokenizer
