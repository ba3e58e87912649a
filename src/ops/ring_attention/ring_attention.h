// Attention of one new token per sequence over a ring of keys (decoding). Where a sequence's ring begins is told by a
// number on the device, so that work which repeats (ops/graph/graph.h) serves every token.
//
// The key of position p, already rotated, and its value lie in slot p % C of k and v: [B, C, G, d], contiguous.
// position: int64 [B], on the device of the others: every sequence's newest token's. Negative: the sequence has no
// token in this step; its ring is left as it is, and its o is 0. Both operations throw c10::Error where shapes, types,
// devices or memory layouts do not fit. Not differentiable.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// A key that stays, as windowed_attention's: seen from position `from` on.
struct RingSink {
  Tensor s_BH, v_Gd;
  int64_t from = 0;
  bool defined() const { return s_BH.defined(); }
};

/// What the newest token sees: itself and the window - 1 positions before it, as far as there are any, and the sink.
/// Its own key must be in its slot. q: [B, H, d], H a multiple of G; 1 <= window <= C; scale multiplies q k. Returns o
/// like q. Scores and sums in fp32. Slots that are not seen may hold anything, NaN too.
Tensor ring_attention(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B,
                      int64_t window, double scale, const RingSink& sink = {});

/// Writes the newest token's key and value [B, G, d] to their slot.
void ring_store(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position_B);

struct RingKernels {
  Tensor (*attend)(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B,
                   int64_t window, double scale, const RingSink& sink);
  void (*store)(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position_B);
};
extern const RingKernels ring_reference, ring_cpu, ring_cuda;

}  // namespace ingrain::ops
