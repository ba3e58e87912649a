// The inner steps of one whole chunk after another: the same work on the same tensors each time, which a GPU repeats as
// a captured graph.
#pragma once

#include "ops/graph/graph.h"
#include "ttt/inner_step.h"
#include "ttt/memory.h"

namespace ingrain::ttt {

/// Steps of a memory, in place: its fast weights, and its windows of suffix blocks 1 .. S-1 (all attention), are up to
/// date after every one. The fast weights are for no one else to change while it lives; windows may be. Not
/// thread-safe.
class ChunkGraph {
 public:
  /// A capture costs about as much as two steps; so many must lie ahead to pay for it.
  static constexpr int64_t kWorthwhile = 8;

  /// eta_S: inner_rates(). All but eta must outlive it.
  ChunkGraph(const ModelConfig& config, const Weights& weights, Memory& memory, const Tensor& eta_S);

  /// Whether the next chunk is the same work as all after it: the memory is at a chunk's start, and its windows are
  /// full. (Rules that are not plain are not captured: make_step_engine.)
  static bool repeats(const ModelConfig& config, const Memory& memory);

  /// Valid until the next run.
  struct Result {
    ChunkGradient gradient;  // without its keys and values
    Tensor norm_B;
  };
  /// chunk_gradient and inner_step of the chunk whose targets are memory.target_Bb and valid_Bb. h, rope: as in
  /// ChunkInput. Its keys and values enter the memory's windows; everything else (position, steps, the prefix's
  /// windows) is the caller's. REQUIRES: repeats().
  const Result& run(const Tensor& h_BbD, const Rope& rope);

 private:
  void find_windows();
  void step();

  const ModelConfig& c_;
  const Weights& w_;
  Memory& memory_;
  const Tensor eta_S_;
  ops::Graph graph_;
  Rope rope_;
  std::vector<Mlp> rounded_S_;  // the fast weights in bf16, kept up by the steps; empty where nothing is rounded
  std::vector<ops::KvWindow> window_S1_;  // past and own keys and values, [B, their window - 1 + chunk, G, d]
  Result result_;
};

}  // namespace ingrain::ttt
