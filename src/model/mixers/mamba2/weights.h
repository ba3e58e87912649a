#pragma once

#include "ops/dual.h"

namespace ingrain {

struct Mamba2Weights {
  Tensor in_CD;                    // [inner + convolved + heads, D]: z; x, B, C; dt
  Tensor conv_CW, conv_bias_C;     // [convolved, kernel], [convolved]
  Tensor A_log_H, D_H, dt_bias_H;  // fp32 (fp64)
  Tensor norm_C;                   // [inner], fp32 (fp64)
  Tensor out_DC;                   // [D, inner]
};

}  // namespace ingrain
