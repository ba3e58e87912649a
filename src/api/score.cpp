#include "api/score.h"

#include "api/parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace ingrain {
namespace {

constexpr double kNoMean = std::numeric_limits<double>::quiet_NaN();

/// A sum that leaves out what is not finite, and counts it.
struct Sum {
  double sum = 0;
  int64_t scored = 0, not_finite = 0;

  void add(float nll) {
    ++scored;
    if (std::isfinite(nll))
      sum += nll;
    else
      ++not_finite;
  }
  double mean() const { return scored > not_finite ? sum / static_cast<double>(scored - not_finite) : kNoMean; }
};

PositionBin make_bin(const std::vector<float>& nll, int64_t begin, int64_t end) {
  Sum sum;
  for (int64_t i = begin; i < end; ++i)
    if (const float x = nll[static_cast<size_t>(i)]; !std::isnan(x)) sum.add(x);
  return {begin, end, sum.scored, sum.mean(), sum.not_finite};
}

}  // namespace

Score summarize(std::vector<float> nll, std::span<const int32_t> tokens, int64_t unscored, int64_t bos_id,
                const tokenizer::Tokenizer* tokenizer) {
  Score out;
  uint64_t bytes = 0;
  Sum sum;
  for (size_t i = 0; i < nll.size(); ++i) {
    if (static_cast<int64_t>(i) < unscored || tokens[i] == bos_id) {
      nll[i] = std::nanf("");
      continue;
    }
    sum.add(nll[i]);
    if (!std::isfinite(nll[i])) {
      nll[i] = std::numeric_limits<float>::infinity();
    } else if (tokenizer) {
      bytes += tokenizer->id_to_bytes(tokens[i]).size();
    }
  }
  out.nll = std::move(nll);
  out.scored = sum.scored, out.not_finite = sum.not_finite, out.mean_nll = sum.mean();
  if (bytes > 0) out.bits_per_byte = sum.sum / std::numbers::ln2 / static_cast<double>(bytes);
  return out;
}

std::vector<PositionBin> doubling_bins(const std::vector<float>& nll, int64_t first) {
  std::vector<PositionBin> out;
  const int64_t n = static_cast<int64_t>(nll.size());
  for (int64_t begin = 0, end = std::min(first, n); begin < n; begin = end, end = std::min(2 * end, n))
    out.push_back(make_bin(nll, begin, end));
  return out;
}

std::vector<PositionBin> equal_bins(const std::vector<float>& nll, int64_t length) {
  std::vector<PositionBin> out;
  const int64_t n = static_cast<int64_t>(nll.size());
  for (int64_t begin = 0; begin < n;) {
    const int64_t end = n - begin < length + (length + 1) / 2 ? n : begin + length;
    out.push_back(make_bin(nll, begin, end));
    begin = end;
  }
  return out;
}

Score score(const Model& model, std::span<const int32_t> tokens, std::vector<float> nll, int64_t unscored) {
  const Model::Parts& parts = model.parts();
  return summarize(std::move(nll), tokens, unscored, parts.network.config.bos_id, parts.maybe_tokenizer());
}

}  // namespace ingrain
