// Products with few rows on the left (decoding): limited by reading the weights once, from memory to registers.
#pragma once

#include "ops/planes.h"

namespace ingrain::ops {

/// Whether few_rows_nt takes these operands: fp32 or bf16 on the CPU, b the same or fp32, rows of b contiguous, and few
/// enough rows of a.
bool has_few_rows(const Tensor& a_MK, const Tensor& b_NK);

/// a bᵀ, [M, N], like a; b rounded to a's type, sums in fp32. REQUIRES: has_few_rows(a, b).
Tensor few_rows_nt(const Tensor& a_MK, const Tensor& b_NK);

}  // namespace ingrain::ops
