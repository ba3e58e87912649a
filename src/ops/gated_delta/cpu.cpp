// The gated delta rule on the CPU, one token after another. This file is compiled once per instruction set
// (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_GATED_DELTA_CPU  // what all of them share
#define INGRAIN_OPS_GATED_DELTA_CPU
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/gated_delta/gated_delta.h"
#include "ops/contiguous.h"
#include "ops/graph/parallel.h"

#include <cmath>

namespace ingrain::ops {

struct GatedDeltaCall {
  Number type;
  int64_t tokens, heads, keys, values;  // keys, values: numbers of one
  const void *q, *k, *v;                // [B, tokens, heads, keys or values]
  const float *g, *beta;                // [B, tokens, heads]
  float scale;
  float* state;  // [B, heads, keys, values]
  void* o;       // like v
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gated_delta/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/state_columns-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// All tokens for a vector of columns from `first` on, of which `n` exist.
template <class T>
HWY_INLINE void RunColumns(const GatedDeltaCall& c, int64_t sequence, int64_t head, int64_t first, size_t n) {
  float* const state = c.state + (sequence * c.heads + head) * c.keys * c.values + first;
  for (int64_t t = 0; t < c.tokens; ++t) {
    const int64_t row = (sequence * c.tokens + t) * c.heads + head;
    const T* const q = static_cast<const T*>(c.q) + row * c.keys;
    const T* const k = static_cast<const T*>(c.k) + row * c.keys;
    const V decay = Set(std::exp(c.g[row]));
    V known = Zero();
    for (int64_t i = 0; i < c.keys; ++i) {
      const V s = hn::Mul(decay, LoadUpTo(state + i * c.values, n));
      StoreUpTo(s, state + i * c.values, n);
      known = hn::MulAdd(Set(static_cast<float>(k[i])), s, known);
    }
    const V value = LoadUpTo(static_cast<const T*>(c.v) + row * c.values + first, n);
    const V u = hn::Mul(Set(c.beta[row]), hn::Sub(value, known));
    V o = Zero();
    for (int64_t i = 0; i < c.keys; ++i) {
      const V s = hn::MulAdd(Set(static_cast<float>(k[i])), u, LoadUpTo(state + i * c.values, n));
      StoreUpTo(s, state + i * c.values, n);
      o = hn::MulAdd(Set(static_cast<float>(q[i])), s, o);
    }
    StoreUpTo(hn::Mul(Set(c.scale), o), static_cast<T*>(c.o) + row * c.values + first, n);
  }
}

void RunGatedDelta(const GatedDeltaCall& c, int64_t begin, int64_t end) {
  ForStateColumns(c.heads, c.values, begin, end, [&](int64_t sequence, int64_t head, int64_t first, size_t n) {
    c.type == Number::fp32 ? RunColumns<float>(c, sequence, head, first, n)
                           : RunColumns<BFloat16>(c, sequence, head, first, n);
  });
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(RunGatedDelta);

Tensor recurrent(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                 const Tensor& beta_BTH, const Tensor& state_BHKV, double scale) {
  const Tensor q = contiguous(q_BTHK), k = contiguous(k_BTHK), v = contiguous(v_BTHV), g = contiguous(g_BTH),
               beta = contiguous(beta_BTH), o = at::empty_like(v);
  const int64_t B = q.size(0), T = q.size(1), H = q.size(2), K = q.size(3), V = v.size(3);
  const GatedDeltaCall call{number(q),
                            T,
                            H,
                            K,
                            V,
                            q.const_data_ptr(),
                            k.const_data_ptr(),
                            v.const_data_ptr(),
                            g.const_data_ptr<float>(),
                            beta.const_data_ptr<float>(),
                            static_cast<float>(scale),
                            state_BHKV.data_ptr<float>(),
                            o.data_ptr()};
  over_state_columns({q, k, v, g, beta, state_BHKV, o}, B, call, HWY_DYNAMIC_DISPATCH(RunGatedDelta));
  return o;
}

GatedDelta chunked(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                   const Tensor& beta_BTH, const Tensor& state_BHKV, double scale) {
  return gated_delta_reference.chunked(q_BTHK, k_BTHK, v_BTHV, g_BTH, beta_BTH, state_BHKV, scale);  // products
}

}  // namespace

const GatedDeltaKernels gated_delta_cpu{chunked, recurrent};

}  // namespace ingrain::ops
#endif
