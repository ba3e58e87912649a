// The delta rule with erasing and writing apart on the CPU, one token after another. This file is compiled once per
// instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_ERASE_WRITE_CPU  // what all of them share
#define INGRAIN_OPS_ERASE_WRITE_CPU
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/erase_write/erase_write.h"
#include "ops/contiguous.h"
#include "ops/graph/captured.h"
#include "ops/graph/parallel.h"

namespace ingrain::ops {

struct EraseWriteCall {
  Number type;
  int64_t tokens, heads, keys, values;  // keys, values: numbers of one
  const void *q, *k, *e, *w;            // [B, tokens, heads, keys or values]
  const float* decay;                   // [B, tokens, heads, keys]
  float scale;
  float* state;  // [B, heads, keys, values]
  void* o;       // like w
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/erase_write/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/state_columns-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// All tokens for a vector of columns from `first` on, of which `n` exist.
template <class T>
HWY_INLINE void EraseWriteColumns(const EraseWriteCall& c, int64_t sequence, int64_t head, int64_t first, size_t n) {
  float* const state = c.state + (sequence * c.heads + head) * c.keys * c.values + first;
  for (int64_t t = 0; t < c.tokens; ++t) {
    const int64_t row = (sequence * c.tokens + t) * c.heads + head;
    const auto key = [&](const void* x) { return static_cast<const T*>(x) + row * c.keys; };
    const T *const q = key(c.q), *const k = key(c.k), *const e = key(c.e);
    const float* const decay = c.decay + row * c.keys;
    V known = Zero();
    for (int64_t i = 0; i < c.keys; ++i) {
      const V s = hn::Mul(Set(decay[i]), LoadUpTo(state + i * c.values, n));
      StoreUpTo(s, state + i * c.values, n);
      known = hn::MulAdd(Set(static_cast<float>(e[i])), s, known);
    }
    const V u = hn::Sub(LoadUpTo(static_cast<const T*>(c.w) + row * c.values + first, n), known);
    V o = Zero();
    for (int64_t i = 0; i < c.keys; ++i) {
      const V s = hn::MulAdd(Set(static_cast<float>(k[i])), u, LoadUpTo(state + i * c.values, n));
      StoreUpTo(s, state + i * c.values, n);
      o = hn::MulAdd(Set(static_cast<float>(q[i])), s, o);
    }
    StoreUpTo(hn::Mul(Set(c.scale), o), static_cast<T*>(c.o) + row * c.values + first, n);
  }
}

void RunEraseWrite(const EraseWriteCall& c, int64_t begin, int64_t end) {
  ForStateColumns(c.heads, c.values, begin, end, [&](int64_t sequence, int64_t head, int64_t first, size_t n) {
    c.type == Number::fp32 ? EraseWriteColumns<float>(c, sequence, head, first, n)
                           : EraseWriteColumns<BFloat16>(c, sequence, head, first, n);
  });
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(RunEraseWrite);

Tensor erase_write_recurrent(const EraseWriteInputs& in) {
  const Tensor q = contiguous(in.q_BTHK), k = contiguous(in.k_BTHK), e = contiguous(in.e_BTHK),
               w = contiguous(in.w_BTHV), o = at::empty_like(w);
  const Tensor decay = captured([g = in.g_BTHK] { return g.exp().contiguous(); });
  const int64_t B = q.size(0), T = q.size(1), H = q.size(2), K = q.size(3), V = w.size(3);
  const EraseWriteCall call{.type = number(q),
                            .tokens = T,
                            .heads = H,
                            .keys = K,
                            .values = V,
                            .q = q.const_data_ptr(),
                            .k = k.const_data_ptr(),
                            .e = e.const_data_ptr(),
                            .w = w.const_data_ptr(),
                            .decay = decay.const_data_ptr<float>(),
                            .scale = static_cast<float>(in.scale),
                            .state = in.state_BHKV.data_ptr<float>(),
                            .o = o.data_ptr()};
  over_state_columns({q, k, e, w, decay, in.state_BHKV, o}, B, call, HWY_DYNAMIC_DISPATCH(RunEraseWrite));
  return o;
}

}  // namespace

const EraseWriteKernels erase_write_cpu{
    [](const EraseWriteInputs& in) { return erase_write_reference.chunked(in); },  // products
    erase_write_recurrent};

}  // namespace ingrain::ops
#endif
