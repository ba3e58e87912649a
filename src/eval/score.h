// How well a model predicts a document: the loss of every token, its mean, and how it falls with position.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ttt/read.h"

#include <optional>
#include <span>
#include <vector>

namespace ingrain::eval {

/// Mean loss of the tokens at positions [begin, end) of the document.
struct PositionBin {
  int64_t begin, end, scored;
  double mean_nll;     // nats, of those that are finite; NaN if none is
  int64_t not_finite;  // of the scored ones
};

struct Score {
  /// -log p of every token, nats; NaN where it is not scored (the first, and targets that are bos), infinity where it
  /// is scored and not finite.
  std::vector<float> nll;
  int64_t scored = 0;
  int64_t not_finite = 0;               // of the scored ones
  double mean_nll;                      // over the scored tokens that are finite; NaN if there is none
  std::optional<double> bits_per_byte;  // of the text that the scored tokens stand for
  double seconds = 0;
};

/// Adds up `nll` (as ReadResult gives it) of `tokens`, the first `unscored` of which nothing predicted. `tokenizer`, if
/// known, tells the bytes behind them.
Score summarize(std::vector<float> nll, std::span<const int32_t> tokens, int64_t unscored, int64_t bos_id,
                const tokenizer::Tokenizer* tokenizer);

/// Bins that double in length from `first` on: [0, first), [first, 2 first), [2 first, 4 first), ...
std::vector<PositionBin> doubling_bins(const std::vector<float>& nll, int64_t first);

/// Bins of equal length.
std::vector<PositionBin> equal_bins(const std::vector<float>& nll, int64_t length);

/// Reads `tokens` into `memory` and scores them as they are read; errors as ttt::read's. nll is shorter than `tokens`
/// if options.keep_going stopped.
Score read_and_score(const Network& model, ttt::Memory& memory, std::span<const int32_t> tokens,
                     const ttt::ReadOptions& options, const tokenizer::Tokenizer* tokenizer, int64_t at_once = 0);

/// The same with a fresh memory. `options` decides about learning. Error if there are fewer than two tokens. at_once:
/// tokens a call, all where 0; 1 computes as writing does.
Score score_document(const Network& model, std::span<const int32_t> tokens, const ttt::ReadOptions& options,
                     const tokenizer::Tokenizer* tokenizer, int64_t at_once = 0);

}  // namespace ingrain::eval
