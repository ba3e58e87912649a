// Where gradients of parameters come together: every parameter as a leaf of autograd beside the sum of its gradients.
#pragma once

#include "model/weights.h"

namespace ingrain {

/// Decides by our parameter name ("blocks.3.mlp.w2") whether a parameter is trained.
using Trainable = std::function<bool(const std::string& name)>;

class GradientSlots {
 public:
  /// Leaves share `weights`' memory. Parameters that `trainable` refuses (empty: none) get no gradient and cost
  /// nothing.
  GradientSlots(const ModelConfig& config, const Weights& weights, const Trainable& trainable = {});

  const Weights& leaves() const { return leaves_; }
  /// The sums so far, fp32 (fp64), zero at first; undefined for parameters that are not trained.
  /// (Tensors are handles: adding to one through a const reference changes the sum.)
  const Weights& sums() const { return sums_; }

  /// A parameter's leaf and its sum: the same member of leaves() and sums().
  struct Slot {
    Tensor leaf, sum;
  };
  std::vector<Slot> attention_slots(int64_t block) const;
  std::vector<Slot> fast_norm_slots(int64_t block) const;
  std::vector<Slot> mlp_slots(int64_t block) const;
  std::vector<Slot> initial_fast_slots(int64_t suffix_block) const;
  std::vector<Slot> final_norm_slots() const;
  const Tensor& head_sum() const { return leaves_.head_VD.defined() ? sums_.head_VD : sums_.embedding_VD; }

  /// First-order backward of sum <outputs, cotangents>: adds the slots' gradients to their sums and returns those of
  /// `inputs` (undefined where an output does not depend on one).
  static std::vector<Tensor> backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& cotangents,
                                      const std::vector<Slot>& slots, const std::vector<Tensor>& inputs);

 private:
  Weights leaves_, sums_;
};

/// Appends `more` to `slots`.
inline void append(std::vector<GradientSlots::Slot>& slots, const std::vector<GradientSlots::Slot>& more) {
  slots.insert(slots.end(), more.begin(), more.end());
}

/// Whether any of them is trained.
bool any_trained(const std::vector<GradientSlots::Slot>& slots);

}  // namespace ingrain
