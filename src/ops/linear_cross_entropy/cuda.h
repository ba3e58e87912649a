// The rows of linear-cross-entropy on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

struct CrossEntropyCall {
  Number type;
  int64_t planes, rows, vocabulary;
  void* z;                // [planes, rows, vocabulary]; becomes its own cotangent
  const int64_t* target;  // [rows]
  const float *a, *c;     // [rows]; c null where P = 1
  bool want_gradient;
  float *nll, *tangent_nll;
};

void cross_entropy_rows(const CrossEntropyCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
