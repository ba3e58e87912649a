// What a step of training will need, counted before it starts.
#pragma once

#include "train/run_config.h"

#include <optional>

namespace ingrain::train {

/// Bytes that a step needs on one of `ranks`, roughly: what grows with model, batch and length, not the libraries'
/// workspaces.
struct MemoryEstimate {
  int64_t parameters = 0, trained = 0;  // numbers
  int64_t weights = 0;                  // in the compute type
  int64_t gradients = 0;                // their sums
  int64_t optimizer = 0;                // of the own stretch: moments, master weights
  int64_t sharing = 0;                  // what ranks receive of each other's gradients at a time, and its sum
  int64_t fast = 0;                     // fast weights and inner gradients kept from sweep to sweep
  int64_t host = 0;                     // of these, what lies in the host's memory: not a part of bytes()
  int64_t activations = 0;
  int64_t head = 0;  // logits of a block of rows and their gradients
  int64_t state() const { return weights + gradients + optimizer + sharing; }
  int64_t without_head() const { return state() + fast + activations; }
  int64_t bytes() const { return without_head() + head; }
};
MemoryEstimate estimate_memory(const RunConfig& config, at::ScalarType compute, bool recompute, int64_t ranks = 1);

/// Sequences that a rank takes at a time: a part of the batch (train.accumulation), or its share if that is less.
int64_t rows_at_once(const RunConfig& config, int64_t ranks);

/// Whether blocks compute their activations again in the backward pass: as train.recompute says. Where that is "auto":
/// unless all of it fits `free` bytes of the device without, with some to spare. Error, with the remedy, where the
/// count is above `free` as it is. free unknown (the CPU): "auto" is true.
bool plan_recompute(const RunConfig& config, at::ScalarType compute, std::optional<int64_t> free, int64_t ranks = 1);

}  // namespace ingrain::train
