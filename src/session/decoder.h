// Writing token by token: work that repeats on tensors that never move (ops/graph/graph.h). The window is a ring, and
// what changes from token to token (the token, its position) lies on the device.
#pragma once

#include "model/rope.h"
#include "ops/graph/graph.h"
#include "session/checkpoints.h"

namespace ingrain::ttt {

/// Reads single tokens into a memory, with the numbers of ttt::read. The memory must have read something (or Error),
/// and belongs to the decoder while it lives; it is up to date only after sync(). Not thread-safe.
class Decoder {
 public:
  /// `boundaries` keeps the chunk boundaries that are passed. `options` as for ttt::read; scores, taps and fp32_angles
  /// there are none of. All but `options` must outlive the decoder.
  Decoder(const Network& model, Memory& memory, BoundaryRing& boundaries, const ReadOptions& options);

  /// What the next token is predicted from: logits [B, V] in the compute type or wider. Valid until the next read().
  const Tensor& logits_BV() const { return logits_BV_; }

  /// Every sequence's next token, [B, 1] int64 on the CPU. Error for an id outside the vocabulary. What options.on_step
  /// throws goes on once the token is read.
  void read(const Tensor& token_B1);

  /// Brings the memory up to date.
  void sync();

 private:
  struct Ring {
    Tensor k_BCGd, v_BCGd;
  };

  void load();
  void load_fast_weights();
  void make_buffers(int64_t needed);
  void step();
  void work_ahead();
  int64_t capacity() const { return ring_L_.empty() ? 0 : ring_L_[0].k_BCGd.size(1); }
  int64_t position() const { return memory_.position + static_cast<int64_t>(unsynced_.size()); }

  const Network& model_;
  const ModelConfig& c_;
  const Weights& w_;  // for as many rows as there are sequences
  Memory& memory_;
  BoundaryRing& boundaries_;
  const ReadOptions options_;

  std::vector<Tensor> unsynced_;  // tokens [B, 1] that the memory does not know yet
  // What a step works on. The fast weights are rounded to the compute type once an inner step.
  ops::Repeated repeated_;
  std::vector<Ring> ring_L_;
  std::vector<FastMlp> fast_S_;
  Tensor token_B1_, position_B_, frequency_R_;
  Tensor h_BbD_, x_BD_, logits_BV_;
};

}  // namespace ingrain::ttt
