#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace ingrain::ops {

/// fp32 to bf16, to the nearest. REQUIRES: whole blocks, kQuantizedBlock numbers each.
void narrow_blocks(const float* from, int64_t count, c10::BFloat16* to);

}  // namespace ingrain::ops
