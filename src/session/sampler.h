// From logits to the next token: penalties, temperature, the cuts (top-k, top-p, min-p), and a seeded draw.
#pragma once

#include "data/random.h"
#include "ingrain/sampling.h"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace ingrain::session {

/// OptionError if one is out of range.
void validate(const SamplingOptions& options);
/// The same, and if a bias is for an id that a model with so many does not have.
void validate(const SamplingOptions& options, int64_t vocabulary);

/// The same seed, options and logits give the same tokens on every machine: the generator is SplitMix64, one draw a
/// token, u = (its upper 53 bits) / 2^53; tokens are ordered by falling logit, then rising id; the token is the first
/// whose cumulative probability, in double, exceeds u. Order of operations: bias, penalties, temperature, top-k, top-p,
/// min-p (each on what the one before left, renormalised). Not thread-safe; a copy continues independently.
class Sampler {
 public:
  struct Candidate {
    double logit;  // after biases and penalties
    int32_t id;
  };

  explicit Sampler(SamplingOptions options);

  /// Counts a token of the text (given or sampled) for the penalties.
  void accept(int32_t token);
  /// Draws one token. Does not accept() it. NaN logits are forbidden tokens. Error if every token is forbidden.
  /// `allowed`, if not empty: bit i % 64 of word i / 64 says whether token i is possible at all (a grammar's mask); the
  /// others, and those it has no bit for, count as -infinity before everything else.
  int32_t sample(std::span<const float> logits, std::span<const uint64_t> allowed = {});

 private:
  int32_t draw(std::span<const float> logits);
  /// The tokens that biases and penalties change, by rising id.
  std::vector<Candidate> changed(std::span<const float> logits) const;
  /// All tokens that are not forbidden.
  std::vector<Candidate> adjusted(std::span<const float> logits) const;
  /// What falling order would begin with, without a copy of the vocabulary: a GPU waits meanwhile.
  int32_t likeliest(std::span<const float> logits) const;

  SamplingOptions options_;
  data::SplitMix64 random_;
  std::deque<int32_t> seen_;
  std::unordered_map<int32_t, int64_t> counts_;
};

/// Ends a stream of text at the first of some strings, which itself is not given out. Text that may be the beginning
/// of one waits until that is decided.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// The part of all text so far that can be given out now.
  std::string push(std::string_view text);
  /// What still waits, when no more text comes.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string waiting_;
  bool stopped_ = false;
};

}  // namespace ingrain::session
