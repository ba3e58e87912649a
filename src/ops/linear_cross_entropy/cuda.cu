// The rows of linear-cross-entropy on a GPU: a block per row, which is read twice and written once.
#include "ops/linear_cross_entropy/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

/// The sum of exp(z - max), and of exp(z - max) dz, over what was seen so far.
struct Softmax {
  float max = -INFINITY, sum = 0, sum_dz = 0;

  /// The same sums by a larger maximum. Nothing seen stays nothing seen (never inf - inf).
  __device__ void raise(float to) {
    const float shrink = max == to ? 1 : expf(max - to);
    max = to, sum *= shrink, sum_dz *= shrink;
  }
  __device__ void add(const Softmax& other) {
    const float m = fmaxf(max, other.max);
    if (m == -INFINITY) return;
    Softmax b = other;
    raise(m), b.raise(m);
    sum += b.sum, sum_dz += b.sum_dz;
  }
};

/// All threads' sums together, for every thread, in an order that does not depend on time.
__device__ Softmax block_softmax(Softmax mine) {
  for (int distance = 16; distance > 0; distance /= 2) {
    Softmax other;
    other.max = __shfl_xor_sync(0xffffffffu, mine.max, distance);
    other.sum = __shfl_xor_sync(0xffffffffu, mine.sum, distance);
    other.sum_dz = __shfl_xor_sync(0xffffffffu, mine.sum_dz, distance);
    mine.add(other);
  }
  __shared__ float of_warp[32][3];
  if (threadIdx.x % 32 == 0) {
    float* const to = of_warp[threadIdx.x / 32];
    to[0] = mine.max, to[1] = mine.sum, to[2] = mine.sum_dz;
  }
  __syncthreads();
  Softmax all;
  for (int w = 0; w < int(blockDim.x) / 32; ++w) {
    Softmax part;
    part.max = of_warp[w][0], part.sum = of_warp[w][1], part.sum_dz = of_warp[w][2];
    all.add(part);
  }
  return all;
}

/// A vec's maximum is taken first, so that the sums are rescaled once a vec and not once an element.
template <class T, int P, int N>
__device__ Softmax softmax_of(const T* z, const T* dz, int64_t n) {
  Softmax mine;
  for (int64_t i = threadIdx.x * N; i < n; i += blockDim.x * N) {
    const auto z_i = load<N>(z + i);
    Floats<N> dz_i;
    if constexpr (P == 2) dz_i = load<N>(dz + i);
    float m = mine.max;
#pragma unroll
    for (int j = 0; j < N; ++j) m = fmaxf(m, z_i[j]);
    if (m > mine.max) mine.raise(m);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float e = expf(z_i[j] - m);
      mine.sum += e;
      if constexpr (P == 2) mine.sum_dz += e * dz_i[j];
    }
  }
  return block_softmax(mine);
}

/// cot(z) = a (p - y) - c p (dz - mean), cot(dz) = -c (p - y), in place; mean = <p, dz>. Rows of zero weight are
/// masked.
template <class T, int P, int N>
__global__ void each_row(CrossEntropyCall call) {
  const int64_t row = blockIdx.x, n = call.vocabulary, y = call.target[row];
  T* const z = static_cast<T*>(call.z) + row * n;
  T* const dz = z + (P == 2 ? call.rows * n : 0);
  const float z_y = to_float(z[y]),
              dz_y = to_float(dz[y]);               // before any thread of the block writes: see the barrier below
  const Softmax s = softmax_of<T, P, N>(z, dz, n);  // holds a barrier
  const float mean = P == 2 ? s.sum_dz / s.sum : 0;
  if (threadIdx.x == 0) {
    call.nll[row] = logf(s.sum) + (s.max - z_y);
    if constexpr (P == 2) call.tangent_nll[row] = mean - dz_y;
  }
  if (!call.want_gradient) return;
  const float a = call.a[row], c = P == 2 ? call.c[row] : 0, inverse = 1 / s.sum;
  const bool masked = a == 0 && c == 0;
  for (int64_t i = threadIdx.x * N; i < n; i += blockDim.x * N) {
    auto gz = load<N>(z + i);
    Floats<N> gdz;
    if constexpr (P == 2) gdz = load<N>(dz + i);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float p = expf(gz[j] - s.max) * inverse, minus_y = i + j == y ? p - 1 : p;
      gz[j] = masked ? 0 : a * minus_y;
      if constexpr (P == 2) {
        gz[j] = masked ? 0 : gz[j] - c * p * (gdz[j] - mean);
        gdz[j] = masked ? 0 : -c * minus_y;
      }
    }
    store(gz, z + i);
    if constexpr (P == 2) store(gdz, dz + i);
  }
}

}  // namespace

void cross_entropy_rows(const CrossEntropyCall& call, Stream stream) {
  for_row_kernel(call.type, call.planes, in_vectors(call.type, call.vocabulary, {call.z}),
                 [&](auto tag, auto P, auto N) {
                   const int64_t warps = divide_up(divide_up(call.vocabulary, N()), 32);
                   launch("cross_entropy_rows", each_row<typename decltype(tag)::type, P(), N()>,
                          {dim3(static_cast<unsigned>(call.rows)), static_cast<int>(32 * (warps < 16 ? warps : 16))},
                          stream, call);
                 });
}

}  // namespace ingrain::ops::cuda
