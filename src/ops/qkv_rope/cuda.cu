// Splitting into heads, their norms and RoPE on a GPU: a warp per head of a token, its elements in registers. A lane
// holds whole pairs of RoPE, so that no lane needs another one's elements.
#include "ops/qkv_rope/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kWarps = 4;  // per block

/// kPairs pairs of one head's row: what one lane holds. Places beyond the head are zero.
template <int kPairs>
struct Pairs {
  float a[kPairs] = {}, b[kPairs] = {};
};

/// Which elements a lane holds.
struct Layout {
  int64_t half;
  bool interleaved;
  __device__ int64_t pair(int i) const { return threadIdx.x % 32 + int64_t{32} * i; }
  __device__ bool has(int i) const { return pair(i) < half; }
  __device__ int64_t a(int i) const { return interleaved ? 2 * pair(i) : pair(i); }
  __device__ int64_t b(int i) const { return interleaved ? 2 * pair(i) + 1 : pair(i) + half; }
};

template <int kPairs, class T>
__device__ Pairs<kPairs> load_pairs(const Layout& at, const T* from) {
  Pairs<kPairs> out;
#pragma unroll
  for (int i = 0; i < kPairs; ++i)
    if (at.has(i)) out.a[i] = to_float(from[at.a(i)]), out.b[i] = to_float(from[at.b(i)]);
  return out;
}
template <int kPairs, class T>
__device__ void store_pairs(const Layout& at, const Pairs<kPairs>& from, T* to) {
#pragma unroll
  for (int i = 0; i < kPairs; ++i)
    if (at.has(i)) to[at.a(i)] = from_float<T>(from.a[i]), to[at.b(i)] = from_float<T>(from.b[i]);
}
template <int kPairs>
__device__ float dot(const Pairs<kPairs>& x, const Pairs<kPairs>& y) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) sum += x.a[i] * y.a[i] + x.b[i] * y.b[i];
  return warp_sum(sum);
}
/// out = f(x, y, ...), element by element.
template <int kPairs, class F, class... More>
__device__ Pairs<kPairs> each(F f, const Pairs<kPairs>& x, const More&... more) {
  Pairs<kPairs> out;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) out.a[i] = f(x.a[i], more.a[i]...), out.b[i] = f(x.b[i], more.b[i]...);
  return out;
}

/// A pair turned by its angle (direction 1) or back (-1): (a, b) -> (a cos - b sin, b cos + a sin).
template <int kPairs>
__device__ Pairs<kPairs> rotated(const QkvRopeCall& call, const Layout& at, int64_t token, float direction,
                                 const Pairs<kPairs>& x) {
  Pairs<kPairs> out;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    if (!at.has(i)) continue;
    const float cos = call.cos[token * at.half + at.pair(i)], sin = direction * call.sin[token * at.half + at.pair(i)];
    out.a[i] = x.a[i] * cos - x.b[i] * sin;
    out.b[i] = x.b[i] * cos + x.a[i] * sin;
  }
  return out;
}

/// Where a warp's head of a token lies: in the stacked projection, and in q, k or v.
struct Place {
  int part;  // 0: q, 1: k, 2: v
  int64_t token, in_stack, in_part, stack_plane, part_plane;
};
/// Divisions in 32 bits, which are several times as fast: nobody has as many heads of tokens in one call.
__device__ Place place_of(const QkvRopeCall& call, int64_t task) {
  const unsigned stack = static_cast<unsigned>(call.q_heads + 2 * call.kv_heads);
  const unsigned in_row = static_cast<unsigned>(task) % stack,
                 token = static_cast<unsigned>(task) / stack % static_cast<unsigned>(call.tokens);
  const int64_t row = static_cast<unsigned>(task) / stack, h = in_row, d = call.head_dim;
  const int64_t from_k = h - call.q_heads, from_v = from_k - call.kv_heads;
  const int part = from_k < 0 ? 0 : from_v < 0 ? 1 : 2;
  const int64_t heads = part == 0 ? call.q_heads : call.kv_heads, head = part == 0 ? h : part == 1 ? from_k : from_v;
  return {part, token, task * d, (row * heads + head) * d, call.rows * stack * d, call.rows * heads * d};
}

template <class T, int P, int kPairs>
__global__ void forward_heads(QkvRopeCall call) {
  const int64_t tasks = call.rows * (call.q_heads + 2 * call.kv_heads);
  const int64_t task = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (task >= tasks) return;
  const Layout at{call.head_dim / 2, call.interleaved};
  const Place place = place_of(call, task);
  const float* const w = place.part == 0 ? call.q_norm : place.part == 1 ? call.k_norm : nullptr;
  const T* const from = static_cast<const T*>(call.qkv) + place.in_stack;
  T* const to = static_cast<T*>(call.parts[place.part]) + place.in_part;
  auto x = load_pairs<kPairs>(at, from);
  Pairs<kPairs> dx;
  if constexpr (P == 2) dx = load_pairs<kPairs>(at, from + place.stack_plane);
  if (w) {
    const auto scale = load_pairs<kPairs>(at, w);
    const float r = rsqrtf(dot(x, x) / call.head_dim + call.eps);
    if constexpr (P == 2) {
      const float shift = -r * r * dot(x, dx) / call.head_dim;
      // Rounded before the rotation, as a separate norm would.
      dx = each([&](float x, float dx, float w) { return rounded<T>((dx + x * shift) * r * w); }, x, dx, scale);
    }
    x = each([&](float x, float w) { return rounded<T>(x * r * w); }, x, scale);
  }
  const bool rotates = place.part < 2;
  store_pairs(at, rotates ? rotated(call, at, place.token, 1, x) : x, to);
  if constexpr (P == 2) store_pairs(at, rotates ? rotated(call, at, place.token, 1, dx) : dx, to + place.part_plane);
}

/// The norm's backward, as in rms_norm/cuda.cu: g and gd become the gradients of x and dx; returns the norm's.
template <int P, int kPairs>
__device__ Pairs<kPairs> norm_backward(const QkvRopeCall& call, const Pairs<kPairs>& x, const Pairs<kPairs>& dx,
                                       const Pairs<kPairs>& w, Pairs<kPairs>& g, Pairs<kPairs>& gd) {
  const auto times = [](float x, float y) { return x * y; };
  const float n = call.head_dim, r = rsqrtf(dot(x, x) / n + call.eps), r3 = r * r * r;
  const auto a = each(times, g, w);
  float of_x = -r3 * dot(x, a) / n;
  auto gw = each([&](float g, float x) { return g * x * r; }, g, x);
  g = each(times, a, each([&](float) { return r; }, a));
  if constexpr (P == 2) {
    const auto c = each(times, gd, w);
    const float m_xdx = dot(x, dx) / n, m_xc = dot(x, c) / n;
    const float of_c = -r3 * m_xdx, of_dx = -r3 * m_xc, shift = -r * r * m_xdx;
    of_x += -r3 * (dot(c, dx) / n - 3 * r * r * m_xdx * m_xc);
    gw = each([&](float sum, float gd, float x, float dx) { return sum + gd * (dx + x * shift) * r; }, gw, gd, x, dx);
    g = each([&](float sum, float c, float dx) { return sum + c * of_c + dx * of_dx; }, g, c, dx);
    gd = each([&](float c, float x) { return r * c + x * of_dx; }, c, x);
  }
  g = each([&](float sum, float x) { return sum + x * of_x; }, g, x);
  return gw;
}

/// Every warp takes heads at a fixed distance and keeps its part of the norms' gradients; the block adds up its warps'.
template <class T, int P, int kPairs>
__global__ void backward_heads(QkvRopeCall call) {
  const int64_t tasks = call.rows * (call.q_heads + 2 * call.kv_heads);
  const int warp = threadIdx.x / 32;
  const Layout at{call.head_dim / 2, call.interleaved};
  Pairs<kPairs> gw[2];
  for (int64_t task = int64_t{blockIdx.x} * kWarps + warp; task < tasks; task += int64_t{gridDim.x} * kWarps) {
    const Place place = place_of(call, task);
    const T* const from = static_cast<const T*>(call.parts[place.part]) + place.in_part;
    T* const to = static_cast<T*>(call.gqkv) + place.in_stack;
    Pairs<kPairs> g, gd;
    if (call.parts[place.part]) {
      g = load_pairs<kPairs>(at, from);
      if constexpr (P == 2) gd = load_pairs<kPairs>(at, from + place.part_plane);
      if (place.part < 2) {
        g = rotated(call, at, place.token, -1, g);
        if constexpr (P == 2) gd = rotated(call, at, place.token, -1, gd);
        const float* const w = place.part == 0 ? call.q_norm : call.k_norm;
        if (w) {
          const T* const x_at = static_cast<const T*>(call.qkv) + place.in_stack;
          const auto x = load_pairs<kPairs>(at, x_at);
          Pairs<kPairs> dx;
          if constexpr (P == 2) dx = load_pairs<kPairs>(at, x_at + place.stack_plane);
          const auto to_w = norm_backward<P>(call, x, dx, load_pairs<kPairs>(at, w), g, gd);
          const auto add = [](float x, float y) { return x + y; };
          if (place.part == 0)
            gw[0] = each(add, gw[0], to_w);
          else
            gw[1] = each(add, gw[1], to_w);
        }
      }
    }
    store_pairs(at, g, to);
    if constexpr (P == 2) store_pairs(at, gd, to + place.stack_plane);
  }
  if (!call.partial_g) return;
  __shared__ float of_warp[kWarps][2][kLargestHead];
  for (int part = 0; part < 2; ++part) store_pairs(at, gw[part], of_warp[warp][part]);
  __syncthreads();
  for (int64_t i = threadIdx.x; i < 2 * call.head_dim; i += blockDim.x) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += of_warp[w][i / call.head_dim][i % call.head_dim];
    call.partial_g[blockIdx.x * 2 * call.head_dim + i] = sum;
  }
}

/// run(type, planes, pairs a lane holds).
template <class Run>
void for_qkv_rope_kernel(const QkvRopeCall& call, Run&& run) {
  for_type(call.type, [&](auto tag) {
    for_planes(call.planes, [&](auto P) {
      if (call.head_dim <= 64)
        run(tag, P, Constant<1>{});
      else if (call.head_dim <= 128)
        run(tag, P, Constant<2>{});
      else
        run(tag, P, Constant<kLargestHead / 64>{});
    });
  });
}

}  // namespace

void qkv_rope_forward(const QkvRopeCall& call, Stream stream) {
  const int64_t blocks = divide_up(call.rows * (call.q_heads + 2 * call.kv_heads), kWarps);
  for_qkv_rope_kernel(call, [&](auto tag, auto P, auto pairs) {
    launch("qkv_rope_forward", forward_heads<typename decltype(tag)::type, P(), pairs()>,
           {dim3(static_cast<unsigned>(blocks)), 32 * kWarps}, stream, call);
  });
}

void qkv_rope_backward(const QkvRopeCall& call, Stream stream) {
  for_qkv_rope_kernel(call, [&](auto tag, auto P, auto pairs) {
    launch("qkv_rope_backward", backward_heads<typename decltype(tag)::type, P(), pairs()>,
           {dim3(static_cast<unsigned>(call.slices)), 32 * kWarps}, stream, call);
  });
}

}  // namespace ingrain::ops::cuda
