// Rows of a table, looked up.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// The rows of the tokens, [..., D]. token: int64, each below V, on the table's device. Not differentiable: the
/// gradient of a lookup is added where the lookup was (ttt/block_stack.cpp).
Tensor embedding(const Tensor& embedding_VD, const Tensor& token);

}  // namespace ingrain::ops
