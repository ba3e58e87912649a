// Writing results to where they stay: where the next run of captured work (ops/graph/graph.h), or whoever reads its
// results, finds them. Not differentiable. c10::Error where shapes, types or devices do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// place = x.
void copy_to(const Tensor& x, const Tensor& place);

/// Rows row_B of a table [N, D] = x [B, D]. row: int64, each below N, on their device; it is read when the work runs.
/// Where two are the same, either row may stay.
void store_rows(const Tensor& x_BD, const Tensor& table_ND, const Tensor& row_B);

}  // namespace ingrain::ops
