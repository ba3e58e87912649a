// RMSNorm on a GPU: a block per row. The second look at a row finds it in the first-level cache, so that main memory is
// read once. Formulas as in reference.cpp and rows-inl.h.
#include "ops/rms_norm/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

/// y = residual + w x r, r = 1 / rms(x); its tangent w r (dx - x r^2 <x, dx>/n).
template <class T, int P, int N>
__global__ void forward_rows(RmsNormCall call) {
  const int64_t n = call.width, row = blockIdx.x * n, plane = call.rows * n, step = blockDim.x * N;
  const T* const x = static_cast<const T*>(call.x) + row;
  const T* const residual = static_cast<const T*>(call.residual) + row;
  T* const y = static_cast<T*>(call.out) + row;
  float sums[P] = {};  // <x, x>, <x, dx>
  for (int64_t i = threadIdx.x * N; i < n; i += step) {
    const auto xi = load<N>(x + i);
#pragma unroll
    for (int j = 0; j < N; ++j) sums[0] += xi[j] * xi[j];
    if constexpr (P == 2) {
      const auto dxi = load<N>(x + plane + i);
#pragma unroll
      for (int j = 0; j < N; ++j) sums[1] += xi[j] * dxi[j];
    }
  }
  block_sum(sums);
  const float r = rsqrtf(sums[0] / n + call.eps);
  for (int64_t i = threadIdx.x * N; i < n; i += step) {
    const auto xi = load<N>(x + i);
    const auto w = load_each<N>(call.w + i);
    Floats<N> y_i;
#pragma unroll
    for (int j = 0; j < N; ++j) y_i[j] = xi[j] * r * w[j];
    if (call.residual_planes > 0) {
      const auto res = load<N>(residual + i);
#pragma unroll
      for (int j = 0; j < N; ++j) y_i[j] = rounded<T>(y_i[j]) + res[j];
    }
    store(y_i, y + i);
    if constexpr (P == 2) {
      const float shift = -r * r * sums[1] / n;
      auto dy_i = load<N>(x + plane + i);
#pragma unroll
      for (int j = 0; j < N; ++j) dy_i[j] = (dy_i[j] + xi[j] * shift) * r * w[j];
      if (call.residual_planes == 2) {
        const auto res = load<N>(residual + plane + i);
#pragma unroll
        for (int j = 0; j < N; ++j) dy_i[j] = rounded<T>(dy_i[j]) + res[j];
      }
      store(dy_i, y + plane + i);
    }
  }
}

/// With a = gy w, c = gdy w and means m(.) over the row:
///   gx  = r a - x (r^3 m(xa) - 3 r^5 m(x dx) m(xc) + r^3 m(c dx)) - r^3 m(x dx) c - r^3 m(xc) dx
///   gdx = r c - x r^3 m(xc);    gw += gy x r + gdy r (dx - x r^2 m(x dx))
/// A block takes every slices-th row; its part of gw is kept in shared memory, where a thread meets its own columns
/// only.
template <class T, int P, int N>
__global__ void backward_rows(RmsNormCall call) {
  float* const gw = reinterpret_cast<float*>(shared_memory());
  const int64_t n = call.width, plane = call.rows * n, first = threadIdx.x * N, step = blockDim.x * N;
  if (call.partial_gw)
    for (int64_t i = first; i < n; i += step)
#pragma unroll
      for (int j = 0; j < N; ++j) gw[i + j] = 0;
  for (int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(call.x) + row * n;
    const T* const gy = static_cast<const T*>(call.gy) + row * n;
    T* const gx = static_cast<T*>(call.out) + row * n;
    float sums[P == 2 ? 5 : 2] = {};  // <x, x>, <x, a>, <x, dx>, <x, c>, <c, dx>
    for (int64_t i = first; i < n; i += step) {
      const auto xi = load<N>(x + i), g = load<N>(gy + i);
      const auto w = load_each<N>(call.w + i);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        sums[0] += xi[j] * xi[j];
        sums[1] += xi[j] * g[j] * w[j];
      }
      if constexpr (P == 2) {
        const auto dx = load<N>(x + plane + i), gd = load<N>(gy + plane + i);
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const float c = gd[j] * w[j];
          sums[2] += xi[j] * dx[j];
          sums[3] += xi[j] * c;
          sums[4] += c * dx[j];
        }
      }
    }
    block_sum(sums);
    const float r = rsqrtf(sums[0] / n + call.eps), r3 = r * r * r;
    float of_x = -r3 * sums[1] / n, of_c = 0, of_dx = 0, shift = 0;
    if constexpr (P == 2) {
      const float m_xdx = sums[2] / n, m_xc = sums[3] / n;
      of_x = -r3 * (sums[1] / n + sums[4] / n - 3 * r * r * m_xdx * m_xc);
      of_c = -r3 * m_xdx, of_dx = -r3 * m_xc, shift = -r * r * m_xdx;
    }
    for (int64_t i = first; i < n; i += step) {
      const auto xi = load<N>(x + i), g = load<N>(gy + i);
      const auto w = load_each<N>(call.w + i);
      Floats<N> out, to_w;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        out[j] = r * g[j] * w[j] + xi[j] * of_x;
        to_w[j] = g[j] * xi[j];
      }
      if constexpr (P == 2) {
        const auto dx = load<N>(x + plane + i), gd = load<N>(gy + plane + i);
        Floats<N> tangent;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const float c = gd[j] * w[j];
          out[j] += c * of_c + dx[j] * of_dx;
          tangent[j] = r * c + xi[j] * of_dx;
          to_w[j] += gd[j] * (dx[j] + xi[j] * shift);
        }
        store(tangent, gx + plane + i);
      }
      store(out, gx + i);
      if (call.partial_gw)
#pragma unroll
        for (int j = 0; j < N; ++j) gw[i + j] += to_w[j] * r;
    }
  }
  if (call.partial_gw)
    for (int64_t i = first; i < n; i += step)
#pragma unroll
      for (int j = 0; j < N; ++j) call.partial_gw[blockIdx.x * n + i + j] = gw[i + j];
}

}  // namespace

void rms_norm_forward(const RmsNormCall& call, Stream stream) {
  const bool vectors = in_vectors(call.type, call.width, {call.x, call.residual, call.out});
  for_row_kernel(call.type, call.planes, vectors, [&](auto tag, auto P, auto N) {
    launch("rms_norm_forward", forward_rows<typename decltype(tag)::type, P(), N()>,
           {dim3(static_cast<unsigned>(call.rows)), threads_for_row(call.width, N())}, stream, call);
  });
}

void rms_norm_backward(const RmsNormCall& call, Stream stream) {
  const bool vectors = in_vectors(call.type, call.width, {call.x, call.gy, call.out});
  const size_t shared = call.partial_gw ? call.width * sizeof(float) : 0;
  for_row_kernel(call.type, call.planes, vectors, [&](auto tag, auto P, auto N) {
    launch("rms_norm_backward", backward_rows<typename decltype(tag)::type, P(), N()>,
           {dim3(static_cast<unsigned>(call.slices)), threads_for_row(call.width, N()), shared}, stream, call);
  });
}

}  // namespace ingrain::ops::cuda
