// Products with few rows on a GPU. A warp brings two of the weight's rows together with all rows of a; where the weight
// has too few rows to fill the GPU, several warps share two rows. Every lane asks for several vectors of the weight
// before it uses the first; a is small, read by everybody, and found in the caches.
#include "ops/gemv/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kWarps = 4;    // per block
constexpr int kBlocks = 4;   // of a multiprocessor: said so that the compiler has the registers for many loads at once
constexpr int kStreams = 2;  // rows of the weight that a warp reads side by side
constexpr int64_t kEnoughBlocks = 512;  // several for every multiprocessor of a large GPU

/// Blocks for the weight's rows of one batch entry, where `sharing` warps take the same ones.
int64_t blocks_of(const GemvCall& call, int64_t sharing) { return divide_up(call.n, kStreams * kWarps / sharing); }

/// A weight as a product with numbers of type T meets it.
template <class T, class W>
__device__ float weight(W x) {
  return std::is_same_v<T, W> ? to_float(x) : rounded<T>(to_float(x));
}

/// c[i][j] = <a_i, b_j> for kRows rows of a (of which the last ones may not exist) and the warp's rows of b.
template <class T, class W, int N, int kRows>
__global__ void __launch_bounds__(32 * kWarps, kBlocks) gemv(GemvCall call, unsigned sharing, unsigned blocks) {
  constexpr int kUnroll = kRows > 2 ? 2 : 4;  // vectors of a row that are under way
  __shared__ float of_warp[kWarps][kRows][kStreams];
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = warp % sharing;
  const int64_t entry = blockIdx.x / blocks, first_row = blockIdx.y * kRows;
  const int64_t first = int64_t{blockIdx.x % blocks * (kWarps / sharing) + warp / sharing} * kStreams;
  const T* a[kRows];  // where fewer are left, the last one is repeated
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int64_t row = first_row + i < call.m ? first_row + i : call.m - 1;
    a[i] = static_cast<const T*>(call.a) + (entry * call.m + row) * call.k;
  }
  const W* b[kStreams];
#pragma unroll
  for (int j = 0; j < kStreams; ++j) {
    const int64_t row = first + j < call.n ? first + j : call.n - 1;
    b[j] = static_cast<const W*>(call.b) + entry * call.weight_batch_stride + row * call.weight_stride;
  }

  float sum[kRows][kStreams] = {};
  const int k = static_cast<int>(call.k), step = sharing * 32 * N;
  for (int first_column = (part * 32 + lane) * N; first_column < k; first_column += kUnroll * step) {
    Vec<T, N> left[kUnroll][kRows];
    Vec<W, N> right[kUnroll][kStreams];
    // No branches here: the compiler would wait for one load before the next. Beyond the end, what is there is met by
    // zeros.
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int column = first_column + u * step < k ? first_column + u * step : 0;
#pragma unroll
      for (int j = 0; j < kStreams; ++j) right[u][j] = load_once<N>(b[j] + column);
#pragma unroll
      for (int i = 0; i < kRows; ++i) left[u][i] = *reinterpret_cast<const Vec<T, N>*>(a[i] + column);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (first_column + u * step >= k)
#pragma unroll
        for (int i = 0; i < kRows; ++i) left[u][i] = {};
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kStreams; ++j)
#pragma unroll
          for (int e = 0; e < N; ++e) sum[i][j] += to_float(left[u][i].x[e]) * weight<T>(right[u][j].x[e]);
    }
  }

#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kStreams; ++j) {
      sum[i][j] = warp_sum(sum[i][j]);
      if (lane == 0) of_warp[warp][i][j] = sum[i][j];
    }
  if (sharing == 1)
    __syncwarp();
  else
    __syncthreads();
  if (part != 0 || lane >= kRows * kStreams) return;
  const int i = lane / kStreams, j = lane % kStreams;
  float total = 0;
#pragma unroll 1
  for (unsigned w = 0; w < sharing; ++w) total += of_warp[warp + w][i][j];
  if (first_row + i < call.m && first + j < call.n)
    static_cast<T*>(call.c)[(entry * call.m + first_row + i) * call.n + first + j] = from_float<T>(total);
}

/// run(type, type of the weights).
template <class Run>
void for_types(const GemvCall& call, Run&& run) {
  for_type(call.type, [&](auto tag) { call.weight_type == call.type ? run(tag, tag) : run(tag, TypeTag<float>{}); });
}

template <class T, class W, int N, int kRows>
void start(const GemvCall& call, Stream stream) {
  int sharing = 1;
  while (sharing < kWarps && call.batch * blocks_of(call, sharing) < kEnoughBlocks && call.k >= 2 * sharing * 32 * N)
    sharing *= 2;
  const int64_t blocks = blocks_of(call, sharing);
  const dim3 grid(static_cast<unsigned>(call.batch * blocks), static_cast<unsigned>(divide_up(call.m, kRows)));
  launch("gemv_nt", gemv<T, W, N, kRows>, {grid, 32 * kWarps}, stream, call, static_cast<unsigned>(sharing),
         static_cast<unsigned>(blocks));
}

}  // namespace

void gemv_nt(const GemvCall& call, Stream stream) {
  const bool vectors = in_vectors(call.weight_type, call.k, {call.a, call.b}) &&
                       in_vectors(call.weight_type, call.weight_stride, {}) &&
                       in_vectors(call.weight_type, call.weight_batch_stride, {});
  for_types(call, [&](auto tag, auto weight_tag) {
    using T = typename decltype(tag)::type;
    using W = typename decltype(weight_tag)::type;
    constexpr int kVec = 16 / sizeof(W);
    constexpr int kMost = std::is_same_v<W, float> ? kMostRowsOfFp32Weights : kMostRows;
    if (!vectors)
      start<T, W, 1, 1>(call, stream);  // right, but reads the weight once a row
    else if (call.m == 1)
      start<T, W, kVec, 1>(call, stream);
    else if (call.m == 2)
      start<T, W, kVec, 2>(call, stream);
    else if (call.m <= 4)
      start<T, W, kVec, 4>(call, stream);
    else
      start<T, W, kVec, kMost>(call, stream);
  });
}

}  // namespace ingrain::ops::cuda
