// Gated DeltaNet (Yang, Kautz, Hatamizadeh 2024): a linear attention whose memory is a matrix per head, forgets by a
// gate and corrects what it holds. Its state does not grow with the text.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain {

struct GatedDeltaNetShape {
  int64_t key_heads, value_heads;  // a key's head serves value_heads / key_heads heads of values
  int64_t key_dim, value_dim;      // numbers of one head
  int64_t kernel = 4;              // tokens that the convolution sees

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
  int64_t convolved() const { return 2 * keys() + values(); }  // q, k, v
};

struct GatedDeltaNetWeights {
  Tensor in_CD;               // [convolved + values, D]: q, k, v, z
  Tensor gates_HD;            // [2 value_heads, D]: b, a
  Tensor conv_CW;             // [convolved, kernel]
  Tensor A_log_H, dt_bias_H;  // fp32 (fp64)
  Tensor norm_d;              // [value_dim], fp32 (fp64)
  Tensor out_DC;              // [D, values]
};

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left, empty at the
/// start of a text; replaced by what they and these leave: the convolution's last kernel - 1 inputs [B, kernel - 1,
/// convolved], and the heads' matrices [B, value_heads, key_dim, value_dim] in fp32 (fp64). Differentiable once.
Tensor gated_delta_net(const GatedDeltaNetShape& shape, const GatedDeltaNetWeights& w, double eps, const Tensor& x_BTD,
                       std::vector<Tensor>& state);

}  // namespace ingrain
