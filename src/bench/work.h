// How much arithmetic reading and training need: the documented count of docs/benchmarks.md, in one place.
#pragma once

#include "model/network.h"

namespace ingrain::bench {

/// Multiply-adds (one counts as two FLOP). Products with weights, attention's two products over visible keys, the head.
/// Norms, RoPE, softmax, the optimizer and whatever is computed a second time to save memory are not counted.
struct Work {
  double prefix = 0;  // the prefix blocks, and the first suffix block's mixer
  double suffix = 0;  // the rest of the suffix
  double head = 0;
  double total() const { return prefix + suffix + head; }
};

/// Pairs of a query at one of the positions [first, first + count) and a key that it sees in a window of k.
double visible_pairs(int64_t first, int64_t count, int64_t window);

/// Attention over some positions. One product (q kᵀ, or p v) takes `all`; with the keys at hand alone, the only ones
/// that have tangents, it takes `fresh`. Backward: gradients of all keys, or of those at hand (the only ones that the
/// inner step needs).
struct AttentionWork {
  double all = 0, fresh = 0;
  double forward() const { return 2 * all; }
  double backward(bool of_all_keys) const {
    return 3 * all + 2 * (of_all_keys ? all : fresh);
  }  // scores again, dP, dQ; dK, dV
  double dual_forward() const { return 4 * all + 2 * fresh; }
  double dual_backward(bool of_all_keys) const { return 6 * all + 5 * fresh + 4 * (of_all_keys ? all : fresh); }
};

/// Of the positions [first, first + count), where the keys at hand begin at `own`; width: of all query heads together.
AttentionWork attention_work(int64_t width, int64_t window, int64_t first, int64_t count, int64_t own);

/// One pass forward over the positions [first, first + count), without learning.
Work forward_work(const ModelConfig& config, int64_t first, int64_t count);

/// Reading them: forward, and of every chunk that ends among them the backward pass down to the fast weights.
Work reading_work(const ModelConfig& config, int64_t first, int64_t count);

/// One training step on a sequence of T tokens: the ordinary one, and the meta-learned one by the tangent method
/// (docs/mathematics.md). T is a multiple of the chunk.
Work standard_step_work(const ModelConfig& config, int64_t T);
Work meta_step_work(const ModelConfig& config, int64_t T);

/// Bytes that writing one token at `position` must read: every weight once (fast ones in the compute type), one row of
/// the embedding, the windows, the recurrent states.
double decoding_bytes(const Network& model, int64_t position);

}  // namespace ingrain::bench
