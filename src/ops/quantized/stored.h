// What a file's block says of itself beyond the scales that a QuantizedFormat names.
#pragma once

#include <cstdint>

namespace ingrain::ops {

struct QuantizedFormat;

/// Whether a file's block has finite weights, for the formats whose scale is no half precision number in one place.
using FiniteBlock = bool (*)(const uint8_t* block);
/// Null for all others.
FiniteBlock finite_block_of(const QuantizedFormat& format);

}  // namespace ingrain::ops
