// A run of blocks over whole sequences, differentiable with little memory: the forward pass keeps each block's input,
// and the backward pass runs a block again (or keeps its graph where there is room).
#pragma once

#include "model/block.h"
#include "ttt/gradient_sums.h"

namespace ingrain::ttt {

enum class Recompute { never, always };

/// The embedding and the first `blocks` blocks; a suffix block among them uses its initial fast weights, unlearning.
/// With `mixer_of_next`, the next block's mixer too (where the suffix begins). `pause` is called before every block, of
/// either pass; what it throws ends the pass.
class BlockStack {
 public:
  BlockStack(const ModelConfig& config, const GradientSums& gradients, int64_t blocks, bool mixer_of_next,
             Recompute recompute, std::function<void()> pause = {});

  /// tokens: [B, T]. Returns [B, T, D].
  Tensor forward(const Tensor& tokens_BT, const Rope& rope, const Tap& tap = {});

  /// g: the cotangent of forward()'s result. Adds the parameters' gradients to their sums. Frees what was kept.
  /// `settled` is told after every block from where on the sums are final, if those of all that follows these blocks
  /// are.
  void backward(const Tensor& g_BTD, const std::function<void(int64_t first)>& settled = {});

 private:
  struct Stage {
    Tensor in_PBTD, out_PBTD;  // out undefined where it is to be computed again
  };
  int64_t stages() const { return blocks_ + (mixer_of_next_ ? 1 : 0); }
  Tensor run(int64_t stage, const Tensor& h_PBTD, const Weights& w, const Tap& tap) const;
  std::vector<GradientSums::Entry> entries_of(int64_t stage) const;

  const ModelConfig& c_;
  const GradientSums& gradients_;
  int64_t blocks_;
  bool mixer_of_next_;
  Recompute recompute_;
  std::function<void()> pause_;
  int64_t lowest_ = 0;  // stage with a trained parameter
  Tensor tokens_BT_;
  Rope rope_;
  std::vector<Stage> kept_;
};

}  // namespace ingrain::ttt
