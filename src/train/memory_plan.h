// What a step of training will need, counted before it starts.
#pragma once

#include "train/run_config.h"

#include <optional>

namespace ingrain::train {

/// Bytes that a step needs, roughly: what grows with model, batch and length, not the libraries' workspaces.
struct MemoryEstimate {
  int64_t parameters, trained;  // numbers
  int64_t state;                // weights, gradients, moments, copies in the compute type
  int64_t fast;                 // fast weights and inner gradients kept from sweep to sweep
  int64_t activations;
  int64_t bytes() const { return state + fast + activations; }
};
MemoryEstimate estimate_memory(const RunConfig& config, at::ScalarType compute, bool recompute);

/// Whether blocks compute their activations again in the backward pass: as train.recompute says. Where that is "auto":
/// unless all of it fits `free` bytes of the device without, with some to spare. Error, with the remedy, where the
/// count is above `free` as it is. free unknown (the CPU): "auto" is true.
bool plan_recompute(const RunConfig& config, at::ScalarType compute, std::optional<int64_t> free);

}  // namespace ingrain::train
