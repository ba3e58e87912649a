// Sliding windows and fast MLPs for a model that was made without them.
#pragma once

#include "model/network.h"

#include <optional>

namespace ingrain {

/// Where the fast MLPs' w1 and w3 come from.
enum class FastStart {
  copied,  // the first rows of the block's own MLP, and its norm: features that the model has learnt
  random,  // N(0, 1/D) and a norm of 1: hidden units of unit variance for an input of unit variance
};

struct RetrofitOptions {
  int64_t window = 1024;            // tokens of sliding-window attention, in the layers that see furthest
  int64_t keep_full = 0;            // but not in so many of these, evenly among them
  int64_t chunk = 256;              // tokens per inner step
  std::optional<int64_t> suffix;    // blocks that get a fast MLP, the last ones; default: half of them
  std::optional<int64_t> fast_mlp;  // width of the fast MLPs; default: a twelfth of the ordinary ones'
  std::optional<double> inner_lr;   // default: 0.06 with Muon, 1 with SGD
  InnerRule inner{.optimizer = InnerOptimizer::muon};
  std::vector<double> layer_rates;  // what the learned factors of inner_lr start from, one a fast MLP; empty: 1
  bool sink = true;                 // keep the first token's key in windows, where it can be kept (can_keep_sink)
  FastStart start = FastStart::copied;
  uint64_t seed = 1;  // of random w1 and w3
};

/// Whether a sink's scores are a product with what a layer's queries are made of: not under norms of q, nor with
/// biases.
bool can_keep_sink(const ModelConfig& base, int64_t layer);

/// `base` with the new parts. OptionError if one does not fit; Error if `base` (called `where` in the
/// text) has fast MLPs already.
ModelConfig retrofit_config(const ModelConfig& base, const RetrofitOptions& options, std::string_view where);

/// The same for the weights, fp32. The fast MLPs start without effect and able to learn at once: w2 is zero, w1 and w3
/// are not, there is no post-norm (under one, a zero w2 has a slope of 1 / sqrt(eps)), and every block's rate is 1
/// times inner_lr. While the context fits the window, outputs equal the base's until the first inner step; with a sink,
/// of a text that begins with bos. A layer's sink is the key and value that bos has as a text's first token, always as
/// far back as the window reaches: a model that was trained with full attention rests its queries there, and loses far
/// more by a window that leaves its first token than by what else it leaves. Shares the base's tensors.
Weights retrofit_weights(const Network& base, const ModelConfig& retrofitted, const RetrofitOptions& options);

}  // namespace ingrain
