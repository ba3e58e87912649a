#pragma once

#include "ops/dual.h"

namespace ingrain {

struct InPlaceTttWeights {
  Tensor w13_FD;   // [2 inner, D]: w1, then w3
  Tensor w2_DF;    // [D, inner]: what a text begins with
  Tensor proj_DD;  // of the target
  Tensor conv_DW;  // [D, 5]: the target sees two tokens to each side
};

}  // namespace ingrain
