#include "tokenizer/implied_merges.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/prefix_index.h"
#include "tokenizer/vocabulary.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxSpelled = 1024;  // longer tokens are reached whole, if at all
constexpr size_t kMaxImplied = 1 << 24;

/// ranks[id]: the score's place among all scores, highest first. Tokens of equal score share it.
std::vector<uint32_t> ranks_of_scores(const std::vector<double>& scores) {
  std::vector<double> places = scores;
  std::sort(places.begin(), places.end(), std::greater<>());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  std::vector<uint32_t> out;
  for (const double score : scores)
    out.push_back(static_cast<uint32_t>(std::lower_bound(places.begin(), places.end(), score, std::greater<>()) -
                                        places.begin()));
  return out;
}

}  // namespace

std::vector<Merge> implied_merges(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  const bool scored = spec.merges_by_score;
  const auto takes_part = [&](int32_t id) {
    return !scored || spec.scores[static_cast<size_t>(id)] != TokenizerSpec::kNeverMerged;
  };
  std::vector<std::pair<std::string_view, int32_t>> words;
  for (int32_t id = 0; static_cast<size_t>(id) < spec.tokens.size(); ++id) {
    const std::string_view surface = vocabulary.surface(id);
    if (!surface.empty() && surface.size() <= kMaxSpelled && vocabulary.find_piece(surface) == id && takes_part(id))
      words.emplace_back(surface, id);
  }
  const PrefixIndex index(words);
  const std::vector<uint32_t> ranks = scored ? ranks_of_scores(spec.scores) : std::vector<uint32_t>();
  std::vector<Merge> out;
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& word : words) {
    const std::string_view surface = word.first;
    const int32_t id = word.second;
    index.visit(surface, [&](size_t length, int32_t left) {
      if (length == surface.size()) return;
      const auto right = vocabulary.find_piece(surface.substr(length));
      if (!right || !takes_part(*right)) return;
      const auto order = static_cast<uint32_t>(out.size());
      out.push_back({left, *right, id, scored ? ranks[static_cast<size_t>(id)] : order});
    });
    require(out.size() <= kMaxImplied, "{}: its tokens are concatenations of others in more than {} ways", spec.source,
            kMaxImplied);
  }
  return out;
}

}  // namespace ingrain::tokenizer
