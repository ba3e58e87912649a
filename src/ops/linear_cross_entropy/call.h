// What the kernels of linear-cross-entropy's rows are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

struct CrossEntropyCall {
  Number type;
  int64_t planes, rows, vocabulary;
  void* z;                // [planes, rows, vocabulary]; becomes its own cotangent
  const int64_t* target;  // [rows]
  const float *a, *c;     // [rows]; c null where P = 1
  bool want_gradient;
  float *nll, *tangent_nll;
};

}  // namespace ingrain::ops
