#include "eval/score.h"

#include "base/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace ingrain::eval {
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
  for (int64_t begin = 0; begin < n; begin += length) out.push_back(make_bin(nll, begin, std::min(begin + length, n)));
  return out;
}

Score read_and_score(const Network& model, ttt::Memory& memory, std::span<const int32_t> tokens,
                     const ttt::ReadOptions& options, const tokenizer::Tokenizer* tokenizer, int64_t at_once) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t unscored = memory.x_BD.defined() ? 0 : 1;
  const size_t step = at_once > 0 ? static_cast<size_t>(at_once) : std::max<size_t>(tokens.size(), 1);
  std::vector<float> nll;
  ttt::InnerLoop loop(model, memory);
  bool going = true;
  while (going && nll.size() < tokens.size()) {
    const size_t first = nll.size();
    ttt::ReadOptions piece = options;
    piece.keep_going = [&](int64_t done) {
      return going = !options.keep_going || options.keep_going(static_cast<int64_t>(first) + done);
    };
    const auto result = loop.read(ttt::as_batch(tokens.subspan(first, std::min(step, tokens.size() - first))), piece);
    const Tensor nll_n = result.nll_Bn[0].narrow(0, 0, result.tokens_read).to(at::kCPU, at::kFloat).contiguous();
    nll.insert(nll.end(), nll_n.const_data_ptr<float>(), nll_n.const_data_ptr<float>() + nll_n.numel());
    if (going && nll.size() < tokens.size() && options.keep_going)
      going = options.keep_going(static_cast<int64_t>(nll.size()));
  }
  // Only now: a GPU works on after read() has returned, and the copies wait for it.
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto read = tokens.first(nll.size());
  Score out = summarize(std::move(nll), read, unscored, model.config.bos_id, tokenizer);
  out.seconds = seconds;
  return out;
}

Score score_document(const Network& model, std::span<const int32_t> tokens, const ttt::ReadOptions& options,
                     const tokenizer::Tokenizer* tokenizer, int64_t at_once) {
  require(tokens.size() >= 2, "the document has {} token(s); at least two are needed to score a prediction",
          tokens.size());
  ttt::Memory memory = ttt::empty_memory(model);
  return read_and_score(model, memory, tokens, options, tokenizer, at_once);
}

}  // namespace ingrain::eval
