#pragma once

#include "ops/dual.h"

namespace ingrain {

struct AttentionWeights {
  Tensor wqkv_CD, bqkv_C, q_norm_d, k_norm_d, wo_DC;
  Tensor wg_CD;  // of layers with an output_gate
  Tensor sink_logit_H;
  Tensor sink_HD, sink_v_C;  // of layers with a sink: its scores are x sink_HD; its value, for every head of keys
};

}  // namespace ingrain
