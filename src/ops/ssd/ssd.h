// Mamba-2's recurrence (Dao, Gu 2024, "state-space duality"): linear attention whose memory is a matrix per head, which
// forgets by a number that the token says. For every token:
//
//   S = exp(dt A) S + dt b xᵀ;   y = Sᵀ c + D x
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Ordinary tensors, no duals. G groups of heads share b and c: head h is of group h / (H / G).
struct SsdInputs {
  Tensor x_BTHV;          // any type
  Tensor dt_BTH;          // >= 0; fp32 (fp64 for fp64), as are A, D and the state
  Tensor A_H;             // < 0
  Tensor b_BTGK, c_BTGK;  // like x
  Tensor D_H;
  Tensor state_BHKV;  // S before the first token; undefined: zeros
};

struct Ssd {
  Tensor y_BTHV;      // like x
  Tensor state_BHKV;  // after the last token
};

/// Tokens in chunks, each by a few products; one token, or a few, one after another where no gradient is wanted. Both
/// give the same numbers up to rounding. Differentiable once in all. Throws c10::Error where shapes, types or devices
/// do not fit.
Ssd ssd(const SsdInputs& inputs);

/// One token after another, the state, which must be there and contiguous, in place: what decoding captures. No
/// gradient. Returns y.
Tensor ssd_in_place(const SsdInputs& inputs);

struct SsdKernels {
  Ssd (*chunked)(const SsdInputs& inputs);       // with a state
  Tensor (*recurrent)(const SsdInputs& inputs);  // with a contiguous state
};
extern const SsdKernels ssd_reference, ssd_cpu, ssd_cuda;

}  // namespace ingrain::ops
