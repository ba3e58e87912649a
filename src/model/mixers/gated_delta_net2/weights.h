#pragma once

#include "ops/dual.h"

namespace ingrain {

struct GatedDeltaNet2Weights {
  Tensor in_CD;                  // [convolved, D]: q, k, v
  Tensor gates_CD;               // [keys + values, D]: of erasing, of writing
  Tensor low_rD;                 // [2 value_dim, D]: to low ranks, for the decay and for the output's gate
  Tensor decay_Cr, out_gate_Cr;  // [keys, value_dim], [values, value_dim]
  Tensor out_gate_bias_C;        // [values]
  Tensor conv_CW;                // [convolved, kernel]
  Tensor A_log_H, dt_bias_C;     // [key_heads], [keys], fp32 (fp64)
  Tensor norm_d;                 // [value_dim], fp32 (fp64)
  Tensor out_DC;                 // [D, values]
};

}  // namespace ingrain
