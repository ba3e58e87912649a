// What a context costs: reading it, and writing after it, by its length; through the public classes, as users have it.
#pragma once

#include "ingrain/model.h"

namespace ingrain::bench {

struct LatencyOptions {
  std::vector<int64_t> contexts = {1024, 4096, 16384};  // tokens
  int64_t tokens = 64;                                  // written after each; the median is of them
  bool learn = true;
};

struct Latency {
  int64_t context;
  double prefill_seconds;          // from the text's first token to its last
  double decode_ms;                // a token, the median
  double decode_low, decode_high;  // the middle half of the tokens lies between them
  uint64_t memory_bytes;           // of the tensors that stand for the context
  uint64_t peak_bytes;             // the most that the device, or this process, held so far
};

/// One reading of the text, repeated where a context is longer, serves all lengths, which go up; it pauses at each.
/// Stopped, if a signal came (base/interrupt.h).
std::vector<Latency> measure_latency(const Model& model, std::span<const int32_t> text, const LatencyOptions& options);

}  // namespace ingrain::bench
