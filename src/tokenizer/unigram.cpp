#include "tokenizer/unigram.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

constexpr uint32_t kNowhere = UINT32_MAX;

}  // namespace

Unigram::Unigram(const UnigramTokens& tokens, const std::string& source)
    : index_(tokens.tokens),
      scores_(tokens.scores),
      unknown_score_(tokens.unknown_score),
      unk_(tokens.unk),
      bytes_(tokens.bytes),
      source_(source) {
  for (const auto& [token, id] : tokens.tokens)
    require(token.size() <= kMaxTokenBytes, "{}: the token '{}' has {} bytes; at most {} are accepted", source,
            printable(token), token.size(), kMaxTokenBytes);
}

// Viterbi's algorithm, from left to right. A later way to a place takes it only if it is better.
void Unigram::find_best(std::string_view piece, Scratch& scratch) const {
  auto& best = scratch.best;
  best.assign(piece.size() + 1, {0, kNowhere, kUnknown});
  for (size_t at = 0; at < piece.size();) {
    const double here = best[at].score;
    const auto reach = [&](size_t end, double score, int32_t id) {
      auto& there = best[end];
      if (there.begin == kNowhere || here + score > there.score) there = {here + score, static_cast<uint32_t>(at), id};
    };
    const size_t character = utf8_step(piece, at).length;
    bool known = false;
    index_.visit(piece.substr(at), [&](size_t length, int32_t id) {
      reach(at + length, scores_[static_cast<size_t>(id)], id);
      known = known || length == character;
    });
    if (!known) reach(at + character, unknown_score_, kUnknown);
    at += character;
  }
}

void Unigram::append_unknown(std::string_view run, std::vector<int32_t>& out, std::vector<uint32_t>* lengths) const {
  std::optional<int32_t> whole;
  index_.visit(run, [&](size_t length, int32_t id) {
    if (length == run.size()) whole = id;
  });
  if (whole) {
    out.push_back(*whole);
    if (lengths) lengths->push_back(static_cast<uint32_t>(run.size()));
    return;
  }
  const auto is_token = [&](char c) { return bytes_[static_cast<uint8_t>(c)] >= 0; };
  if (std::all_of(run.begin(), run.end(), is_token)) {
    for (const char c : run) out.push_back(bytes_[static_cast<uint8_t>(c)]);
    if (lengths) lengths->insert(lengths->end(), run.size(), 1);
    return;
  }
  require(unk_.has_value(), "{}: '{}' is no token, and the file names none for what is unknown ('unk_id')", source_,
          printable(run));
  out.push_back(*unk_);
  if (lengths) lengths->push_back(static_cast<uint32_t>(run.size()));
}

void Unigram::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
                     std::vector<uint32_t>* lengths) const {
  if (piece.empty()) return;
  find_best(piece, scratch);
  auto& ends = scratch.ends;
  ends.clear();
  for (size_t end = piece.size(); end > 0; end = scratch.best[end].begin) ends.push_back(static_cast<uint32_t>(end));
  for (size_t i = ends.size(); i-- > 0;) {
    const size_t begin = scratch.best[ends[i]].begin;
    const auto is_unknown = [&](size_t end) {
      const int32_t id = scratch.best[end].id;
      return id == kUnknown || id == unk_;
    };
    if (!is_unknown(ends[i])) {
      out.push_back(scratch.best[ends[i]].id);
      if (lengths) lengths->push_back(static_cast<uint32_t>(ends[i] - begin));
      continue;
    }
    while (i > 0 && is_unknown(ends[i - 1])) --i;  // unknown neighbours are one
    append_unknown(piece.substr(begin, ends[i] - begin), out, lengths);
  }
}

}  // namespace ingrain::tokenizer
