// The element type of a kernel's activations: a plain type, no torch and no CUDA header.
#pragma once

#include <cstddef>

namespace ingrain::ops {

enum class Number { fp32, bf16 };
constexpr size_t size_of(Number type) { return type == Number::fp32 ? 4 : 2; }

}  // namespace ingrain::ops
