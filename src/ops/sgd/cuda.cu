// The clipped SGD step on a GPU: sums of squares by block, their sum in a fixed order, the step. The norm and with it
// the clip's factor never leave the device.
#include "ops/sgd/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kThreads = 256;

/// One block's numbers: offset into the tensor, and how many.
struct Run {
  int tensor;
  int64_t offset, size;
};
__device__ Run run_of(const SgdTensors& tensors, int64_t block, int64_t sequence) {
  int i = 0;
  while (block >= tensors.first_block[i + 1]) ++i;
  const int64_t n = tensors.numbers[i], first = (block - tensors.first_block[i]) * kBlockNumbers;
  return {i, sequence * n + first, n - first < kBlockNumbers ? n - first : kBlockNumbers};
}

__device__ bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

__global__ void squares_of_blocks(const __grid_constant__ SgdTensors tensors, float* partial, int64_t stride) {
  const Run run = run_of(tensors, blockIdx.x, blockIdx.y);
  const float* const g = tensors.g[run.tensor] + run.offset;
  const int64_t in_vecs = aligned(g) ? run.size / 4 * 4 : 0;
  float sum[1] = {};
  for (int64_t i = threadIdx.x * 4; i < in_vecs; i += kThreads * 4) {
    const auto x = load<4>(g + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) sum[0] += x[j] * x[j];
  }
  for (int64_t i = in_vecs + threadIdx.x; i < run.size; i += kThreads) sum[0] += g[i] * g[i];
  block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.y * stride + blockIdx.x] = sum[0];
}

__global__ void norm_of_sequence(const float* partial, int64_t blocks, float* norm) {
  const float* const mine = partial + blockIdx.x * blocks;
  float sum[1] = {};
  for (int64_t i = threadIdx.x; i < blocks; i += kThreads) sum[0] += mine[i];
  block_sum(sum);
  if (threadIdx.x == 0) norm[blockIdx.x] = sqrtf(sum[0]);
}

__global__ void step_of_blocks(const __grid_constant__ SgdTensors tensors, const float* norm, const float* eta,
                               float clip) {
  const Run run = run_of(tensors, blockIdx.x, blockIdx.y);
  const float* const w = tensors.w[run.tensor] + run.offset;
  const float* const g = tensors.g[run.tensor] + run.offset;
  float* const out = tensors.out[run.tensor] + run.offset;
  auto* const rounded = static_cast<__nv_bfloat16*>(tensors.rounded[run.tensor]);     // of the whole tensor
  const float n = norm[blockIdx.y], scale = n > clip ? clip / n : n <= clip ? 1 : n;  // not a number stays none
  const float rate = scale * eta[run.tensor];
  const bool vectors =
      aligned(w) && aligned(g) && aligned(out) && reinterpret_cast<uintptr_t>(rounded + run.offset) % 8 == 0;
  const int64_t in_vecs = vectors ? run.size / 4 * 4 : 0;
  for (int64_t i = threadIdx.x * 4; i < in_vecs; i += kThreads * 4) {
    auto w_i = load<4>(w + i);
    const auto g_i = load<4>(g + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) w_i[j] -= rate * g_i[j];
    store(w_i, out + i);
    if (rounded) store(w_i, rounded + run.offset + i);
  }
  for (int64_t i = in_vecs + threadIdx.x; i < run.size; i += kThreads) {
    const float moved = w[i] - rate * g[i];
    out[i] = moved;
    if (rounded) rounded[run.offset + i] = from_float<__nv_bfloat16>(moved);
  }
}

dim3 grid_of(const SgdTensors& tensors, int64_t sequences) {
  return dim3(static_cast<unsigned>(tensors.first_block[tensors.count]), static_cast<unsigned>(sequences));
}

}  // namespace

void sum_of_squares(const SgdTensors& tensors, int64_t sequences, float* partial, int64_t partial_first,
                    int64_t partial_stride, Stream stream) {
  launch("sum_of_squares", squares_of_blocks, {grid_of(tensors, sequences), kThreads}, stream, tensors,
         partial + partial_first, partial_stride);
}

void norms(const float* partial, int64_t sequences, int64_t blocks, float* norm, Stream stream) {
  launch("norms", norm_of_sequence, {dim3(static_cast<unsigned>(sequences)), kThreads}, stream, partial, blocks, norm);
}

void clipped_step(const SgdTensors& tensors, int64_t sequences, const float* norm, const float* eta, float clip,
                  Stream stream) {
  launch("clipped_step", step_of_blocks, {grid_of(tensors, sequences), kThreads}, stream, tensors, norm, eta, clip);
}

}  // namespace ingrain::ops::cuda
