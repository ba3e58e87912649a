// What the recurrent mixers' formulas share.
#pragma once

#include "ops/linear/linear.h"

namespace ingrain {

/// Of the lengths of keys and queries that are made unit vectors.
constexpr double kUnitEps = 1e-6;

/// x Wᵀ without an axis of planes. x: [B, T, C]; w: [F, C].
inline Tensor project(const Tensor& x_BTC, const Tensor& w_FC) {
  return ops::linear(x_BTC.unsqueeze(0), w_FC).select(0, 0);
}

/// Channels of x [B, T, C] from `first` on, as heads [B, T, heads, d].
inline Tensor heads_of(const Tensor& x_BTC, int64_t first, int64_t heads, int64_t d) {
  return x_BTC.narrow(2, first, heads * d).view({x_BTC.size(0), x_BTC.size(1), heads, d});
}

}  // namespace ingrain
