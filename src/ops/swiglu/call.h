// What the gate's kernels are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

struct SwigluCall {
  Number type;
  int64_t planes, rows, width;  // width: F
  const void *ab, *gu;          // [planes, rows, 2F], [planes, rows, F]
  void* out;                    // u [planes, rows, F] or gab [planes, rows, 2F]
};

}  // namespace ingrain::ops
