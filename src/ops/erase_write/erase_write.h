// The delta rule with erasing and writing apart: linear attention whose memory is a matrix per head, in which every
// channel of the keys forgets by a gate of its own. For every token, with a = exp(g):
//
//   S = diag(a) S;  u = w - Sᵀ e;  S = S + k uᵀ;  o = scale Sᵀ q
//
// e is the key times its erase gates, w the value times its write gates. With g one number a head, e = beta k and w =
// beta v this is the gated delta rule (ops/gated_delta).
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Ordinary tensors, no duals.
struct EraseWriteInputs {
  Tensor q_BTHK, k_BTHK, e_BTHK;  // of one type
  Tensor w_BTHV;                  // like q
  Tensor g_BTHK;                  // <= 0; fp32 (fp64 for fp64)
  Tensor state_BHKV;              // of g's type; undefined: zeros
  double scale = 1;
};

struct EraseWrite {
  Tensor o_BTHV;      // like w
  Tensor state_BHKV;  // after the last token
};

/// Tokens in chunks, each by a few products; one token, or a few, one after another where no gradient is wanted. Both
/// give the same numbers up to rounding. Differentiable once in all but scale. Throws c10::Error where shapes, types or
/// devices do not fit.
EraseWrite erase_write(const EraseWriteInputs& inputs);

/// One token after another, the state in place: what decoding captures. No gradient. Returns o, like w.
Tensor erase_write_in_place(const EraseWriteInputs& inputs);

struct EraseWriteKernels {
  EraseWrite (*chunked)(const EraseWriteInputs& inputs);
  /// state: contiguous.
  Tensor (*recurrent)(const EraseWriteInputs& inputs);
};
extern const EraseWriteKernels erase_write_reference, erase_write_cpu, erase_write_cuda;

}  // namespace ingrain::ops
