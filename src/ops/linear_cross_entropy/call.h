// What the kernels of linear-cross-entropy's rows are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

/// A row's sums are made up of those of so many tokens of the vocabulary each.
inline constexpr int64_t kCrossEntropyBlock = 1024;

struct CrossEntropyCall {
  Number type;
  int64_t planes, rows, vocabulary;
  void* z;                // [planes, rows, vocabulary]; becomes its own cotangent
  const int64_t* target;  // [rows]
  const float *a, *c;     // [rows]; c null where P = 1
  bool want_gradient;
  float *nll, *tangent_nll;
};

/// A piece of the vocabulary: `width` of its tokens from `first` on.
struct CrossEntropyPieceCall {
  Number type;
  int64_t rows, first, width;
  void* z;                // [rows, width]; becomes exp(z - max) where that is wanted
  const int64_t* target;  // [rows]
  bool want_gradient;
  float *max, *z_y;  // [rows], carried on from piece to piece
  double* sum;       // likewise
  float* shrink;     // [rows], by which what was summed up before becomes smaller
};

}  // namespace ingrain::ops
