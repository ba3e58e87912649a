// One token of B sequences through the model, each at a position of its own: work that repeats on tensors that never
// move (ops/graph/graph.h). Windows are rings; what changes from token to token lies on the device. Slow weights are
// read once for all rows, fast weights are every row's own.
#pragma once

#include "model/network.h"
#include "model/rope.h"
#include "ops/graph/graph.h"
#include "ttt/memory.h"

#include <span>

namespace ingrain::session {

/// Rows of a TokenStep that belong to one memory: a row for each of its sequences.
struct Rows {
  int64_t first = 0, count = 0;
  Tensor of(const Tensor& x_B) const { return x_B.narrow(0, first, count); }
};

/// Invariant: where a row was loaded, its ring holds the keys and values of its layer's newest window - 1 positions (as
/// far as there are any, and as many as the ring has slots) before its next token. Not thread-safe.
class TokenStep {
 public:
  TokenStep(const Network& model, int64_t rows);

  int64_t rows() const { return rows_; }
  /// Of its buffers.
  uint64_t bytes() const;
  /// Whether a token at position `needed` - 1 has no slot yet in some layer, although that one's window is not full.
  bool lacks_room(int64_t needed) const;
  /// Makes rings for so many positions and some more, up to what a layer's window needs. All rows must be loaded again.
  void make_room(int64_t needed);

  /// The newest `count` positions' keys and values, or those that a ring has slots for if they are fewer; and states.
  void load_keys(const Rows& rows, const ttt::Memory& memory, int64_t count);
  /// Rounded to the compute type: once an inner step.
  void load_fast_weights(const Rows& rows, const std::vector<Mlp>& W_S);
  void load_output(const Rows& rows, const ttt::Memory& memory);

  /// A row's token in this step, and its position (-1: the row has none).
  struct Input {
    int64_t token = 0, position = -1;
  };
  /// inputs: one a row. Rows without a token keep their rings; their outputs are lost.
  void run(std::span<const Input> inputs);

  // Of rows that had a token in the last run(), or were loaded after it. Views, valid until the next run().
  const Tensor& x_BD() const { return x_BD_; }
  const Tensor& logits_BV() const { return logits_BV_; }  // in the compute type or wider

  /// A step's work: whether it is captured by now, and if it cannot be, why.
  const ops::Graph& graph() const { return graph_; }

  /// A copy of a recurrent layer's state.
  RecurrentState state(const Rows& rows, int64_t block) const;
  /// Keys and values of some positions [n] (int64) of block i.
  ops::KvWindow keys(const Rows& rows, int64_t block, const Tensor& position_n) const;
  /// What the chunk's step starts from, of those positions: [B, n, D].
  Tensor prefix_output(const Rows& rows, const Tensor& position_n) const;

 private:
  struct Ring {
    Tensor k_BCGd, v_BCGd;
    int64_t slots() const { return k_BCGd.size(1); }
  };
  void make_row_buffers();
  void step();

  const ModelConfig& config_;
  const Weights& weights_;  // for so many rows
  const int64_t rows_;
  ops::Graph graph_;
  int64_t room_ = 0;          // positions that rings have slots for, unless a window needs fewer
  std::vector<Ring> ring_L_;  // of layers with attention
  // Of recurrent layers, each part flat: [B + 1, ...]; the last row is for rows without a token.
  std::vector<std::vector<Tensor>> state_L_;
  RecurrentState state_of(int64_t block) const;  // views
  std::vector<FastMlp> fast_S_;
  // Rows often have the same fast weights: conversations that have not learned yet, or were forked from one memory.
  // Each has a copy; in a step they use that of one of them, so that it is read once. By whom: a row that uses its own.
  std::vector<int64_t> whose_;
  void share_fast_weights(int64_t row);
  void stop_sharing_fast_weights(int64_t row);
  bool same_fast_weights(int64_t row, int64_t other) const;
  bool shares_fast_weights() const { return weights_.device().is_cpu() && weights_.type() != at::kDouble; }
  Tensor input_5B_;                  // token, position, place in h, in states, whose fast weights
  std::vector<Tensor> frequency_R_;  // of every way to rotate
  Tensor h_ND_;  // prefix outputs of every row's unfinished chunk, [B * b + 1, D]; the last is for rows without a token
  Tensor x_BD_, logits_BV_;
};

}  // namespace ingrain::session
