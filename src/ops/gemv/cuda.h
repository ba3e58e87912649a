// Products with few rows on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

/// c = a bᵀ for every batch entry.
struct GemvCall {
  Number type, weight_type;  // the weights': the same, or fp32
  int64_t batch, m, n, k;
  const void* a;  // [batch, m, k]
  const void* b;  // [batch, n, k] with strides, in elements:
  int64_t weight_batch_stride, weight_stride;
  void* c;  // [batch, m, n]
};

/// Up to so many rows, by the weights' type. Each weight costs a multiply-add a row, each row's element a conversion:
/// more rows than that, and a GPU cannot do this while the weights come at memory's full speed; cuBLAS's tensor cores
/// can. fp32 weights come half as fast, and would have to be copied for it first.
constexpr int64_t kMostRows = 4, kMostRowsOfFp32Weights = 8;

void gemv_nt(const GemvCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
