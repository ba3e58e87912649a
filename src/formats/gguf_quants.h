// GGUF's block-quantized weights, expanded to fp32. Layouts: ggml's block definitions (see docs/formats.md).
#pragma once

#include "formats/gguf.h"

#include <span>

namespace ingrain::formats {

/// Expands whole blocks. REQUIRES: `blocks` holds exactly out.size() elements of `type` (as gguf_type_info
/// says).
void dequantize(GgufType type, const uint8_t* blocks, std::span<float> out);

/// Rows [first, first + count) of a tensor as fp32, row-major [count, row_length].
/// Error if the rows do not exist or `out` is of another size. Safe to call from many threads.
void dequantize_rows(const GgufTensor& tensor, uint64_t first, uint64_t count, std::span<float> out);

}  // namespace ingrain::formats
