// A cost model of data-parallel training: how long a step takes on so many GPUs, from rates that are stated. What it
// assumes: docs/distributed.md.
#pragma once

#include "model/config.h"

namespace ingrain::bench {

/// Rates of a machine room, of one GPU each: what is sustained, not what is printed on the box.
struct Rates {
  double tflops = 400;          // of training's products, 10^12 multiplications and additions a second
  double memory_gbytes = 3000;  // reading and writing the GPU's memory, GB/s
  double node_gbytes = 300;     // sending to GPUs of the same machine
  double network_gbytes = 40;   // sending to other machines
  double latency_us = 10;       // of a message
  int64_t gpus_per_node = 8;
};

/// What is trained, as far as time depends on it.
struct TrainingShape {
  ModelConfig config;
  bool meta = true;               // else the standard step
  bool recompute = true;          // blocks' activations again in the backward pass
  int64_t length = 0, batch = 1;  // of all GPUs together
  int64_t trained = 0;            // numbers
  int64_t weight_bytes = 2;       // of a number that is computed with
};

/// Seconds of a step, by what they are spent on, one after the other, as the trainer does it.
struct StepTime {
  double computing = 0;  // gradients
  double reducing = 0;   // gradients to their owners
  double optimizer = 0;
  double publishing = 0;  // weights to everyone
  double communicating() const { return reducing + publishing; }
  double total() const { return computing + communicating() + optimizer; }
};

/// REQUIRES: gpus divides the batch.
StepTime step_time(const TrainingShape& shape, const Rates& rates, int64_t gpus);

/// What a rank sends in a step at the least, and does: (N - 1) / N of the gradients in fp32 and its weights to the
/// others.
double bytes_sent(const TrainingShape& shape, int64_t gpus);

}  // namespace ingrain::bench
