// Causal attention within a sliding window, over keys that come from two places: a past that is constant
// (read before, zero tangent) and the tokens at hand.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// The keys and values before the tokens at hand, oldest first; W may be 0 (or the tensors undefined).
struct KvWindow {
  Tensor k_BWGd, v_BWGd;
  int64_t length() const { return k_BWGd.defined() ? k_BWGd.size(1) : 0; }
};

/// What a query sees besides its window, once that no longer reaches back to the first key: a key that stays.
/// Undefined: none. `always`: it is seen by every query, as a score that joins the softmax's sum.
struct Sink {
  Tensor s_PBTH;  // its score with every query, already scaled
  Tensor v_Gd;    // its value, the same for all
  bool always = false;
  bool defined() const { return s_PBTH.defined(); }
};

/// Query i of the T tokens (which follow the W past ones) sees itself and the window - 1 positions before it; if there
/// are more than these, the sink, too.
/// q: [P, B, T, H, d]; k, v: [P, B, T, G, d], H a multiple of G (grouped queries), all contiguous; past: [B, W, G, d];
/// sink: [P, B, T, H] and [G, d]. W counts as far as the window goes: min(W, window) past keys are enough to tell.
/// window >= 1. scale, positive, multiplies q k. Returns o like q. Scores and sums in fp32, in bf16 p may be rounded
/// before its product with v; never stores more scores than a tile's. Differentiable once in q, k, v, past and sink.
/// Throws c10::Error where shapes, types, devices, window or scale do not fit.
Tensor windowed_attention(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& past,
                          int64_t window, double scale, const Sink& sink = {});

struct AttentionKernels {
  struct Output {
    Tensor o_PBTHd;
    // Of every softmax, [planes, B, H, T] fp32 (fp64): the log of its sum, and that one's tangent. [B, H, T] where a
    // library's kernel gives the first alone.
    Tensor stats;
    bool with_sink = false;  // o and stats are those of more keys than backward() is given
  };
  Output (*forward)(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& past,
                    int64_t window, double scale);
  struct Gradients {
    Tensor q_PBTHd, k_PBTGd, v_PBTGd;
    Tensor past_k_BWGd, past_v_BWGd;  // undefined unless asked for
  };
  Gradients (*backward)(const Tensor& go_PBTHd, const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd,
                        const KvWindow& past, const Output& output, int64_t window, double scale, bool want_past);
};
extern const AttentionKernels attention_reference, attention_cpu, attention_cuda;

}  // namespace ingrain::ops
