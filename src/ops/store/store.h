// Writing results to where they stay: where the next run of captured work (ops/graph/graph.h), or whoever reads its
// results, finds them. Not differentiable. c10::Error where shapes, types or devices do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// place = x.
void copy_to(const Tensor& x, const Tensor& place);

/// Row position % C of a ring [B, C, D] = x [B, D]. position: int64, one number >= 0, for all sequences, or one for
/// each, [B], where a negative one means that nothing is stored. On the device of the others.
void store_in_ring(const Tensor& x_BD, const Tensor& ring_BCD, const Tensor& position_B);

/// position += count, where it lies.
void advance(const Tensor& position, int64_t count);

}  // namespace ingrain::ops
