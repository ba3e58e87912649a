// Mamba-2's recurrence on the CPU, one token after another. This file is compiled once per instruction set
// (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_SSD_CPU  // what all of them share
#define INGRAIN_OPS_SSD_CPU
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/contiguous.h"
#include "ops/graph/parallel.h"
#include "ops/ssd/ssd.h"

#include <cmath>

namespace ingrain::ops {

struct SsdCall {
  Number type;
  int64_t tokens, heads, groups, keys, values;  // keys, values: numbers of one
  const void* x;                                // [B, tokens, heads, values]
  const void *b, *c;                            // [B, tokens, groups, keys]
  const float* dt;                              // [B, tokens, heads]
  const float *A, *D;                           // [heads]
  float* state;                                 // [B, heads, keys, values]
  void* y;                                      // like x
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/ssd/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/state_columns-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// All tokens for a vector of columns from `first` on, of which `n` exist.
template <class T>
HWY_INLINE void RunSsdColumns(const SsdCall& call, int64_t sequence, int64_t head, int64_t first, size_t n) {
  float* const state = call.state + (sequence * call.heads + head) * call.keys * call.values + first;
  const int64_t group = head / (call.heads / call.groups);
  for (int64_t t = 0; t < call.tokens; ++t) {
    const int64_t token = sequence * call.tokens + t, row = token * call.heads + head;
    const T* const b = static_cast<const T*>(call.b) + (token * call.groups + group) * call.keys;
    const T* const c = static_cast<const T*>(call.c) + (token * call.groups + group) * call.keys;
    const V decay = Set(std::exp(call.dt[row] * call.A[head]));
    const V x = LoadUpTo(static_cast<const T*>(call.x) + row * call.values + first, n);
    const V u = hn::Mul(Set(call.dt[row]), x);
    V y = hn::Mul(Set(call.D[head]), x);
    for (int64_t i = 0; i < call.keys; ++i) {
      float* const at = state + i * call.values;
      const V s = hn::MulAdd(Set(static_cast<float>(b[i])), u, hn::Mul(decay, LoadUpTo(at, n)));
      StoreUpTo(s, at, n);
      y = hn::MulAdd(Set(static_cast<float>(c[i])), s, y);
    }
    StoreUpTo(y, static_cast<T*>(call.y) + row * call.values + first, n);
  }
}

void RunSsd(const SsdCall& call, int64_t begin, int64_t end) {
  ForStateColumns(call.heads, call.values, begin, end, [&](int64_t sequence, int64_t head, int64_t first, size_t n) {
    call.type == Number::fp32 ? RunSsdColumns<float>(call, sequence, head, first, n)
                              : RunSsdColumns<BFloat16>(call, sequence, head, first, n);
  });
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(RunSsd);

Tensor ssd_recurrent(const SsdInputs& in) {
  const Tensor x = contiguous(in.x_BTHV), dt = contiguous(in.dt_BTH), A = contiguous(in.A_H), D = contiguous(in.D_H),
               b = contiguous(in.b_BTGK), c = contiguous(in.c_BTGK), y = at::empty_like(x), state = in.state_BHKV;
  const int64_t B = x.size(0), T = x.size(1), H = x.size(2), V = x.size(3), K = b.size(3);
  const SsdCall call{number(x),
                     T,
                     H,
                     b.size(2),
                     K,
                     V,
                     x.const_data_ptr(),
                     b.const_data_ptr(),
                     c.const_data_ptr(),
                     dt.const_data_ptr<float>(),
                     A.const_data_ptr<float>(),
                     D.const_data_ptr<float>(),
                     state.data_ptr<float>(),
                     y.data_ptr()};
  over_state_columns({x, dt, A, D, b, c, state, y}, B, call, HWY_DYNAMIC_DISPATCH(RunSsd));
  return y;
}

Ssd ssd_chunked(const SsdInputs& in) { return ssd_reference.chunked(in); }  // products

}  // namespace

const SsdKernels ssd_cpu{ssd_chunked, ssd_recurrent};

}  // namespace ingrain::ops
#endif
