// How well a model predicted what it read: the mean of the losses, in bits a byte, and by position.
#pragma once

#include "ingrain/model.h"

namespace ingrain {

struct Score {
  /// -log p of every token, nats; NaN where it is not scored (the first of all, and beginnings of text), infinity where
  /// it is scored and not finite.
  std::vector<float> nll;
  int64_t scored = 0;
  int64_t not_finite = 0;               // of the scored ones
  double mean_nll;                      // over the scored tokens that are finite; NaN if there is none
  std::optional<double> bits_per_byte;  // of the text that the scored tokens stand for, where a tokenizer knows it
};

/// Adds up `nll`, as Reading gives it, of `tokens`, the first `unscored` of which nothing predicted: 1 for a memory
/// that had read nothing before.
Score score(const Model& model, std::span<const int32_t> tokens, std::vector<float> nll, int64_t unscored);

/// Mean loss of the tokens at positions [begin, end).
struct PositionBin {
  int64_t begin, end, scored;
  double mean_nll;     // nats, of those that are finite; NaN if none is
  int64_t not_finite;  // of the scored ones
};

/// Bins that double in length from `first` on: [0, first), [first, 2 first), [2 first, 4 first), ...
std::vector<PositionBin> doubling_bins(const std::vector<float>& nll, int64_t first);

/// Bins of equal length; what is left at the end is a bin of its own from half of that on, else part of the one before.
std::vector<PositionBin> equal_bins(const std::vector<float>& nll, int64_t length);

}  // namespace ingrain
