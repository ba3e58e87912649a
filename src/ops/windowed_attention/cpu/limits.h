// What all of attention on the CPU keeps to: windowed attention, by tiles and of few queries, and attention over a
// ring.
#pragma once

#include <cstdint>

namespace ingrain::ops {

constexpr int64_t kMaxHeadDim = 1024;  // wider heads are the reference's
constexpr int64_t kPad = 16;           // rows of a tile are padded with zeros to a multiple of this
constexpr int64_t padded_row(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

}  // namespace ingrain::ops
