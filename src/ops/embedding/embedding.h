// Rows of a table, looked up, and scaled where a family does.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// The rows of the tokens times `scale`, [..., D]; the scale is rounded to the table's type, as transformers does.
/// token: int64, each below V, on the table's device. Not differentiable: the gradient of a lookup is added where the
/// lookup was (ttt/block_stack.cpp).
Tensor embedding(const Tensor& embedding_VD, const Tensor& token, double scale = 1);

/// `scale` as a number of the type.
double rounded_to(at::ScalarType type, double scale);

}  // namespace ingrain::ops
