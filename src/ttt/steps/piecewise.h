// The rest of an inner step once its chunk has passed forward, in pieces of about a token's work: the backward pass a
// residual sublayer at a time, then the inner optimizer a block at a time. Where a step takes effect only some tokens
// later (inner_step_delay), it is made meanwhile.
#pragma once

#include "ops/activation_cache.h"
#include "ttt/memory.h"
#include "ttt/steps/step_engine.h"

namespace ingrain::ttt {

/// What a chunk's forward passes have left.
struct PassedChunk {
  ops::ActivationCache activations;
  // Of the suffix's sublayers: what each started from, [1, B, b, D] (but the first one: the memory's h), and its first
  // call in the cache. Kept only where steps are delayed.
  std::vector<Tensor> in_PBTD = {};
  std::vector<size_t> call = {};
  Tensor gx_PBTD = {};  // d(sum of nll) / d(suffix's output)
  Tensor nll_BT = {};
};

/// How many times a mean's gradients are smaller than those of a sum, [B]: the weight of a target that counts.
Tensor mean_of_sum(const Tensor& weight_BT);

/// An inner step whose pieces give the same bits whenever they are made.
class PiecewiseStep {
 public:
  /// All must outlive it; the memory's chunk is full and passed.
  PiecewiseStep(const ModelConfig& config, const Weights& weights, const Memory& memory, PassedChunk& chunk,
                double rate_multiplier);

  static int64_t units(const ModelConfig& config) { return SuffixPass::sublayers(config) + config.suffix_len; }
  int64_t made() const { return made_; }
  void make_unit();
  /// The step, which becomes the memory's. REQUIRES: all units are made.
  InnerStep take(Memory& memory);

 private:
  void pass_back(int64_t sublayer);
  void pass_back(int64_t sublayer, int64_t first, int64_t count, const Tensor& g_in_PBTD);
  void optimize(int64_t block);

  const ModelConfig& c_;
  const Weights& w_;
  const Memory& m_;
  PassedChunk& chunk_;
  const Rope rope_;
  const ChunkInput past_;  // what the chunk's mixers started from
  ChunkWeights weights_;
  const Tensor eta_S_;
  int64_t made_ = 0;
  Tensor g_PBTD_;  // dL / d(the last sublayer passed back has started from)
  InnerStep step_;
  FastState next_;
};

}  // namespace ingrain::ttt
