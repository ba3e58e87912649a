#pragma once

#include "ops/dual.h"

namespace ingrain {

struct KvBindingWeights {
  Tensor in_CD;                     // [3 width, D]: q, k, v
  Tensor rate_HD, rate_bias_H;      // of each token's inner step
  Tensor place_rate_m;              // [mini_batch], fp32 (fp64): added to 1 / (place + 1)
  Tensor W1_CF, b1_C, W2_CF, b2_C;  // what a text begins with: [width, inner], [heads inner], [width, inner]: W2's
                                    // transpose, [width]
  Tensor norm_C, norm_bias_C;       // [width], fp32 (fp64): after the inner MLPs
  Tensor post_norm_C, post_bias_C;  // [width], fp32 (fp64): over all heads
  Tensor out_DC;                    // [D, width]
};

}  // namespace ingrain
