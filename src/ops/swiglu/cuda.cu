// The gate of gated MLPs on a GPU: element by element, value and tangent together. Formulas as in cpu.cpp.
#include "ops/swiglu/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

/// f and its first two derivatives.
struct Activated {
  float f, d1, d2;
  __device__ Activated(float a, Gate gate) { gate == Gate::silu ? silu(a) : gelu_tanh(a); }
  __device__ void silu(float a) {
    const float s = sigmoid(a), rest = 1 - s;
    f = a * s;
    d1 = s * (1 + a * rest);
    d2 = s * rest * (2 + a * (rest - s));
  }
  __device__ void gelu_tanh(float a) {
    constexpr float scale = static_cast<float>(kGeluScale), cube = static_cast<float>(kGeluCube);
    const float s = sigmoid(scale * a * (1 + cube * a * a)), rest = s * (1 - s);
    const float g1 = scale * (1 + 3 * cube * a * a), g2 = 6 * scale * cube * a;
    f = a * s;
    d1 = s + a * rest * g1;
    d2 = rest * (2 * g1 + a * ((1 - 2 * s) * g1 * g1 + g2));
  }
};

/// u = f(a) b;  du = f' da b + f db.
template <class T, int P, int N>
__global__ void forward_elements(SwigluCall call) {
  const int64_t F = call.width, i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N;
  if (i >= F) return;
  for (int64_t row = blockIdx.y; row < call.rows; row += gridDim.y) {
    const T* const ab = static_cast<const T*>(call.ab) + row * 2 * F + i;
    T* const u = static_cast<T*>(call.out) + row * F + i;
    const auto a = load<N>(ab), b = load<N>(ab + F);
    Floats<N> u_i, du_i, da, db;
    if constexpr (P == 2) da = load<N>(ab + call.rows * 2 * F), db = load<N>(ab + call.rows * 2 * F + F);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const Activated act(a[j], call.gate);
      u_i[j] = rounded<T>(act.f) * b[j];
      if constexpr (P == 2) du_i[j] = act.d1 * da[j] * b[j] + act.f * db[j];
    }
    store(u_i, u);
    if constexpr (P == 2) store(du_i, u + call.rows * F);
  }
}

/// ga = gu f' b + gdu (f" da b + f' db), gb = gu f + gdu f' da, gda = gdu f' b, gdb = gdu f.
template <class T, int P, int N>
__global__ void backward_elements(SwigluCall call) {
  const int64_t F = call.width, i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N;
  if (i >= F) return;
  for (int64_t row = blockIdx.y; row < call.rows; row += gridDim.y) {
    const int64_t at = row * 2 * F + i, tangent = call.rows * 2 * F;
    const T *const ab = static_cast<const T*>(call.ab) + at, *const gu = static_cast<const T*>(call.gu) + row * F + i;
    T* const gab = static_cast<T*>(call.out) + at;
    const auto a = load<N>(ab), b = load<N>(ab + F), g = load<N>(gu);
    Floats<N> ga, gb, gda, gdb, da, db, gd;
    if constexpr (P == 2) da = load<N>(ab + tangent), db = load<N>(ab + tangent + F), gd = load<N>(gu + call.rows * F);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const Activated act(a[j], call.gate);
      ga[j] = g[j] * act.d1 * b[j];
      gb[j] = g[j] * act.f;
      if constexpr (P == 2) {
        ga[j] += gd[j] * (act.d2 * da[j] * b[j] + act.d1 * db[j]);
        gb[j] += gd[j] * act.d1 * da[j];
        gda[j] = gd[j] * act.d1 * b[j];
        gdb[j] = gd[j] * act.f;
      }
    }
    store(ga, gab);
    store(gb, gab + F);
    if constexpr (P == 2) store(gda, gab + tangent), store(gdb, gab + tangent + F);
  }
}

LaunchShape shape_of(const SwigluCall& call, int vec) {
  const int threads = threads_for_row(call.width, vec);
  const int64_t columns = divide_up(divide_up(call.width, vec), threads), rows = call.rows < 65535 ? call.rows : 65535;
  return {dim3(static_cast<unsigned>(columns), static_cast<unsigned>(rows)), threads};
}

}  // namespace

void swiglu_forward(const SwigluCall& call, Stream stream) {
  for_row_kernel(call.type, call.planes, in_vectors(call.type, call.width, {call.ab, call.out}),
                 [&](auto tag, auto P, auto N) {
                   launch("swiglu_forward", forward_elements<typename decltype(tag)::type, P(), N()>,
                          shape_of(call, N()), stream, call);
                 });
}

void swiglu_backward(const SwigluCall& call, Stream stream) {
  const bool vectors = in_vectors(call.type, call.width, {call.ab, call.gu, call.out});
  for_row_kernel(call.type, call.planes, vectors, [&](auto tag, auto P, auto N) {
    launch("swiglu_backward", backward_elements<typename decltype(tag)::type, P(), N()>, shape_of(call, N()), stream,
           call);
  });
}

}  // namespace ingrain::ops::cuda
