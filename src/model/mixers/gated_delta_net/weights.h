#pragma once

#include "ops/dual.h"

namespace ingrain {

struct GatedDeltaNetWeights {
  Tensor in_CD;               // [convolved + values, D]: q, k, v, z
  Tensor gates_HD;            // [2 value_heads, D]: b, a
  Tensor conv_CW;             // [convolved, kernel]
  Tensor A_log_H, dt_bias_H;  // fp32 (fp64)
  Tensor norm_d;              // [value_dim], fp32 (fp64)
  Tensor out_DC;              // [D, values]
};

}  // namespace ingrain
