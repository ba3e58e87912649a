// Where gradients of parameters come together: every parameter as a leaf of autograd beside the sum of its gradients.
#pragma once

#include "model/parameters.h"

namespace ingrain {

/// Decides by our parameter name ("blocks.3.mlp.w2") whether a parameter is trained.
using Trainable = std::function<bool(const std::string& name)>;

class GradientSums {
 public:
  /// Leaves share `weights`' memory. Parameters that `trainable` refuses (empty: none) get no gradient and cost
  /// nothing.
  GradientSums(const ModelConfig& config, const Weights& weights, const Trainable& trainable = {});

  const Weights& leaves() const { return leaves_; }
  /// The sums so far, fp32 (fp64), zero at first; undefined for parameters that are not trained. Views of flat().
  /// (Tensors are handles: adding to one through a const reference changes the sum.)
  const Weights& sums() const { return sums_; }
  /// All sums in one piece of memory, in visit order, each at a multiple of 64 bytes; what lies between them is zero.
  const Tensor& flat() const { return flat_N_; }

  /// Where a trained parameter's sum lies in flat().
  struct Place {
    std::string name;
    ParameterKind kind;
    int64_t begin, count;
    std::vector<int64_t> shape;
    Tensor leaf;
  };
  /// Of all that are trained, in visit order.
  const std::vector<Place>& places() const { return places_; }
  /// Where in flat() the sums of block `layer` begin: those of all blocks before lie below, of all after, and of what
  /// follows the blocks, above. As many blocks as there are: where those end.
  int64_t begin_of_block(int64_t layer) const { return block_begins_[static_cast<size_t>(layer)]; }

  /// A parameter's leaf and its sum: the same member of leaves() and sums().
  struct Entry {
    Tensor leaf, sum;
  };
  /// The slow parameters of a step (fast MLPs are not among them). `layer`: of a block's step.
  std::vector<Entry> slow(Step step, int64_t layer = 0) const;
  /// A suffix block's initial fast weights: w13, w2.
  std::vector<Entry> initial_fast(int64_t layer) const;
  const Tensor& head_sum() const { return leaves_.head_VD.defined() ? sums_.head_VD : sums_.embedding_VD; }

  /// First-order backward of sum <outputs, cotangents>: adds the entries' gradients to their sums and returns those of
  /// `inputs` (undefined where an output does not depend on one).
  static std::vector<Tensor> backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& cotangents,
                                      const std::vector<Entry>& entries, const std::vector<Tensor>& inputs);

 private:
  std::vector<Entry> pick(Step step, bool fast, int64_t layer) const;

  ModelConfig config_;
  mutable Weights leaves_, sums_;  // the table's members give no const references
  Tensor flat_N_;
  std::vector<Place> places_;
  std::vector<int64_t> block_begins_;
};

/// Appends `more` to `entries`.
inline void append(std::vector<GradientSums::Entry>& entries, const std::vector<GradientSums::Entry>& more) {
  entries.insert(entries.end(), more.begin(), more.end());
}

/// Whether any of them is trained.
bool any_trained(const std::vector<GradientSums::Entry>& entries);

}  // namespace ingrain
