#include "eval/score.h"

#include "base/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

namespace ingrain::eval {
namespace {

PositionBin make_bin(const std::vector<float>& nll, int64_t begin, int64_t end) {
  PositionBin bin{begin, end, 0, 0};
  for (int64_t i = begin; i < end; ++i) {
    const float x = nll[static_cast<size_t>(i)];
    if (std::isnan(x)) continue;
    bin.mean_nll += x;
    ++bin.scored;
  }
  if (bin.scored > 0) bin.mean_nll /= static_cast<double>(bin.scored);
  return bin;
}

}  // namespace

Score summarize(std::vector<float> nll, std::span<const int32_t> tokens, int64_t bos_id,
                const tokenizer::Tokenizer* tokenizer) {
  Score out;
  uint64_t bytes = 0;
  double sum = 0;
  for (size_t i = 0; i < nll.size(); ++i) {
    if (tokens[i] == bos_id) nll[i] = std::nanf("");
    if (std::isnan(nll[i])) continue;
    sum += nll[i];
    ++out.scored;
    if (tokenizer) bytes += tokenizer->id_to_bytes(tokens[i]).size();
  }
  out.nll = std::move(nll);
  if (out.scored > 0) out.mean_nll = sum / static_cast<double>(out.scored);
  if (bytes > 0) out.bits_per_byte = sum / std::numbers::ln2 / static_cast<double>(bytes);
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
  const size_t step = at_once > 0 ? static_cast<size_t>(at_once) : std::max<size_t>(tokens.size(), 1);
  std::vector<float> nll;
  ttt::InnerLoop loop(model, memory);
  bool going = true;
  const auto keep_going = [&](int64_t done) { return !options.keep_going || options.keep_going(done); };
  while (going && nll.size() < tokens.size()) {
    const size_t first = nll.size();
    ttt::ReadOptions piece = options;
    piece.keep_going = [&](int64_t done) { return going = keep_going(static_cast<int64_t>(first) + done); };
    const auto result = loop.read(ttt::as_batch(tokens.subspan(first, std::min(step, tokens.size() - first))), piece);
    const Tensor nll_n = result.nll_Bn[0].narrow(0, 0, result.tokens_read).to(at::kCPU, at::kFloat).contiguous();
    nll.insert(nll.end(), nll_n.const_data_ptr<float>(), nll_n.const_data_ptr<float>() + nll_n.numel());
    if (going && nll.size() < tokens.size()) going = keep_going(static_cast<int64_t>(nll.size()));
  }
  // Only now: a GPU works on after read() has returned, and the copies wait for it.
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto read = tokens.first(nll.size());
  Score out = summarize(std::move(nll), read, model.config.bos_id, tokenizer);
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
