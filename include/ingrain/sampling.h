// How the next token is drawn.
#pragma once

#include <cstdint>
#include <map>

namespace ingrain {

/// The defaults change nothing: every token with the model's own probability.
struct SamplingOptions {
  double temperature = 1;                // 0: always the likeliest token
  int64_t top_k = 0;                     // only the k likeliest; 0: all
  double top_p = 1;                      // only the fewest tokens that together reach probability p
  double min_p = 0;                      // only tokens with at least this share of the likeliest one's probability
  double repetition_penalty = 1;         // logits of tokens seen: divided by it where positive, else multiplied
  double presence_penalty = 0;           // taken from the logit of every token seen
  double frequency_penalty = 0;          // taken from it once for each time it was seen
  int64_t penalty_window = 1024;         // how many of the latest tokens count as seen; 0: none
  std::map<int32_t, double> logit_bias;  // added first; -infinity forbids a token
  uint64_t seed = 0;                     // the same seed gives the same text
};

}  // namespace ingrain
