#pragma once

#include "ops/dual.h"

namespace ingrain {

struct AttentionWeights {
  Tensor wqkv_CD, bqkv_C, q_norm_d, k_norm_d, wo_DC;
};

}  // namespace ingrain
