// Dual numbers: the leading axis P of every activation, its planes.
//
// P = 1 is an ordinary tensor. P = 2 is a dual number: plane 0 the primal, plane 1 its tangent (the directional
// derivative along the fast weights' direction, docs/mathematics.md). Products with slow weights need not know:
// the tangent of x w is (dx) w, so both planes are rows of one product. The non-linear operations look at P.
// A missing plane is a zero tangent.
#pragma once

#include "ops/aten.h"

namespace ingrain {

using at::Tensor;

namespace ops {

inline int64_t planes(const Tensor& x_P) { return x_P.size(0); }
inline bool is_dual(const Tensor& x_P) { return planes(x_P) == 2; }
inline Tensor primal(const Tensor& x_P) { return x_P.select(0, 0); }
inline Tensor tangent(const Tensor& x_P) { return x_P.select(0, 1); }

}  // namespace ops
}  // namespace ingrain
