// Numbers as GGUF's types have them: the other way of formats/gguf_quants.h.
#pragma once

#include "formats/gguf.h"

#include <span>

namespace ingrain::formats {

/// Whether quantize() can make the type: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS.
bool can_quantize(GgufType type);

/// Whole blocks of finite numbers. `out`: as many bytes as gguf_type_info says. Each block's scales are those of least
/// weighted squares among several. Error where the type cannot be made, or a number is beyond what its scales (half
/// precision) can reach. Safe to call from many threads.
void quantize(GgufType type, std::span<const float> x, uint8_t* out);

}  // namespace ingrain::formats
