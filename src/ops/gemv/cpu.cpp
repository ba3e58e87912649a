// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_GEMV  // what all of them share
#define INGRAIN_OPS_GEMV
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
#include "ops/gemv/gemv.h"

namespace ingrain::ops {

struct GemvCall {
  at::ScalarType type, weight_type;
  int64_t m, n, k, ldb;
  const float* a;  // [m, k], already fp32
  const void* b;   // [n, k] of weight_type, rows ldb apart
  void* c;         // [m, n] of type
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemv/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// c[i][j] = <a_i, b_j> for M rows of a and `streams` (up to kStreams) rows of b.
/// Products are in T: a weight W of more digits is rounded as it is read.
template <int M, class T, class W>
HWY_INLINE void DotBlock(const GemvCall& call, const float* a, const W* b, int64_t streams, T* c) {
  V sum[M][kStreams];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) sum[i][j] = Zero();
  const W* row[kStreams];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
  for (int j = 0; j < kStreams; ++j) row[j] = b + HWY_MIN(int64_t{j}, streams - 1) * call.ldb;
  const int64_t whole = call.k - call.k % int64_t(Lanes());
  const char* const later = reinterpret_cast<const char*>(b) + kStreamAhead;
  for (int64_t p = 0; p < whole; p += Lanes()) {
    PrefetchBytes<Cache::first, kStreams * hn::MaxLanes(D()) * sizeof(W)>(later + kStreams * p * int64_t{sizeof(W)});
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) {
      const V right = std::is_same_v<T, W> ? Load(row[j] + p) : Rounded<T>(Load(row[j] + p));
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) sum[i][j] = hn::MulAdd(Load(a + i * call.k + p), right, sum[i][j]);
    }
  }
  if (whole < call.k) {
    const size_t left = call.k - whole;
    for (int j = 0; j < kStreams; ++j) {
      const V right =
          std::is_same_v<T, W> ? LoadUpTo(row[j] + whole, left) : Rounded<T>(LoadUpTo(row[j] + whole, left));
      for (int i = 0; i < M; ++i) sum[i][j] = hn::MulAdd(LoadUpTo(a + i * call.k + whole, left), right, sum[i][j]);
    }
  }
  StoreDots(sum, streams, c, call.n);
}

template <class T, class W>
void GemvAs(const GemvCall& call, int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; j += kStreams) {
    const int64_t streams = HWY_MIN(int64_t{kStreams}, end - j);
    const W* const b = static_cast<const W*>(call.b) + j * call.ldb;
    T* const c = static_cast<T*>(call.c) + j;
    int64_t i = 0;
    for (; i + 2 <= call.m; i += 2) DotBlock<2>(call, call.a + i * call.k, b, streams, c + i * call.n);
    if (i < call.m) DotBlock<1>(call, call.a + i * call.k, b, streams, c + i * call.n);
  }
}

void Widen(const BFloat16* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += Lanes()) StoreUpTo(LoadUpTo(from + i, n - i), to + i, n - i);
}

void Gemv(const GemvCall& call, int64_t begin, int64_t end) {
  if (call.type == at::kFloat) return GemvAs<float, float>(call, begin, end);
  call.weight_type == at::kFloat ? GemvAs<BFloat16, float>(call, begin, end)
                                 : GemvAs<BFloat16, BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Gemv);
HWY_EXPORT(Widen);

Tensor in_fp32(const Tensor& a_BMK) {
  const Tensor a = a_BMK.contiguous();
  if (a.scalar_type() == at::kFloat) return a;
  const Tensor wide = at::empty(a.sizes(), at::kFloat);
  const auto widen = HWY_DYNAMIC_DISPATCH(Widen);
  cpu::parallel({a, wide}, a.numel(), cpu::grain(1),
                [widen, from = a.const_data_ptr<c10::BFloat16>(), to = wide.data_ptr<float>()](
                    int64_t begin, int64_t end) { widen(from + begin, end - begin, to + begin); });
  return wide;
}

Tensor nt(const Tensor& a_BMK, const Tensor& b_BNK) {
  const Tensor a = in_fp32(a_BMK);
  auto sizes = a.sizes().vec();
  sizes.back() = b_BNK.size(-2);
  const Tensor c = at::empty(sizes, a_BMK.options());
  const int64_t batch = a.dim() == 3 ? a.size(0) : 1, M = a.size(-2), N = b_BNK.size(-2), K = a.size(-1);
  const auto run = HWY_DYNAMIC_DISPATCH(Gemv);
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t b_offset = i * (a.dim() == 3 ? b_BNK.stride(0) : 0) * b_BNK.element_size(),
                  c_offset = i * M * N * c.element_size();
    const GemvCall call{a_BMK.scalar_type(),
                        b_BNK.scalar_type(),
                        M,
                        N,
                        K,
                        b_BNK.stride(-2),
                        a.const_data_ptr<float>() + i * M * K,
                        static_cast<const char*>(b_BNK.const_data_ptr()) + b_offset,
                        static_cast<char*>(c.data_ptr()) + c_offset};
    cpu::parallel({a, b_BNK, c}, N, cpu::grain(K), [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
  }
  return c;
}

}  // namespace

const GemvKernels gemv_cpu{8, 8, nt};

}  // namespace ingrain::ops
#endif
