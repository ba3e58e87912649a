// The clipped SGD step on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

constexpr int kTensorsAtOnce = 64;        // as many as fit a kernel's parameters
constexpr int64_t kBlockNumbers = 16384;  // of one sequence and tensor, for one block of threads

/// Some of the step's tensors. Blocks are numbered over the tensors: tensor i owns [first_block[i], first_block[i +
/// 1]).
struct SgdTensors {
  int count;
  const float *w[kTensorsAtOnce], *g[kTensorsAtOnce];  // [sequences, numbers]
  float* out[kTensorsAtOnce];
  void* rounded[kTensorsAtOnce];    // like out, in bf16; may be null
  int64_t numbers[kTensorsAtOnce];  // of one sequence
  int64_t first_block[kTensorsAtOnce + 1];
};

/// partial: [sequences, partial_stride]; the tensors' blocks are written from `partial_first` on.
void sum_of_squares(const SgdTensors& tensors, int64_t sequences, float* partial, int64_t partial_first,
                    int64_t partial_stride, Stream stream);
/// norm: [sequences], the root of each sequence's sum over `blocks` partial ones.
void norms(const float* partial, int64_t sequences, int64_t blocks, float* norm, Stream stream);
/// out = w - eta min(1, clip / norm) g. eta: one for every tensor of `tensors`.
void clipped_step(const SgdTensors& tensors, int64_t sequences, const float* norm, const float* eta, float clip,
                  Stream stream);

}  // namespace ingrain::ops::cuda
