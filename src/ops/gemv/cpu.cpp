// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_GEMV  // what all of them share
#define INGRAIN_OPS_GEMV
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
#include "ops/gemv/gemv.h"

#include <algorithm>

namespace ingrain::ops {

/// The product of m rows with a matrix, for each of `batch` such.
struct GemvCall {
  at::ScalarType type, weight_type;
  int64_t batch, m, n, k, ldb, b_stride;
  const float* a;         // [batch, m, k], already fp32
  const void* b;          // [n, k] of weight_type, rows ldb apart; the next one b_stride elements behind
  void* c;                // [batch, m, n] of type
  const int64_t* b_of_a;  // [batch]: whose matrix; negative: none, the result is 0. Null: each its own
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemv/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// Rows of a that meet a row of the weight together.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
constexpr int kTogether = 4;
#else
constexpr int kTogether = 2;
#endif

/// c[i][j] = <a_i, b_j> for M rows of a and `streams` (up to kStreams) rows of b.
/// Products are in T: a weight W of more digits is rounded as it is read.
template <int M, class T, class W>
HWY_INLINE void DotBlock(const GemvCall& call, const float* const* a, const W* b, int64_t streams, T* const* c,
                         int64_t column) {
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
      for (int i = 0; i < M; ++i) sum[i][j] = hn::MulAdd(Load(a[i] + p), right, sum[i][j]);
    }
  }
  if (whole < call.k) {
    const size_t left = call.k - whole;
    for (int j = 0; j < kStreams; ++j) {
      const V right =
          std::is_same_v<T, W> ? LoadUpTo(row[j] + whole, left) : Rounded<T>(LoadUpTo(row[j] + whole, left));
      for (int i = 0; i < M; ++i) sum[i][j] = hn::MulAdd(LoadUpTo(a[i] + whole, left), right, sum[i][j]);
    }
  }
  for (int i = 0; i < M; ++i) StoreDots(sum[i], streams, c[i] + column);
}

/// Rows begin .. end of b, for some rows of a.
template <class T, class W>
void MeetRows(const GemvCall& call, const float* const* a, int64_t rows, const W* b, T* const* c, int64_t begin,
              int64_t end) {
  for (int64_t j = begin; j < end; j += kStreams) {
    const int64_t streams = HWY_MIN(int64_t{kStreams}, end - j);
    const W* const bj = b + j * call.ldb;
    int64_t i = 0;
    for (; i + kTogether <= rows; i += kTogether) DotBlock<kTogether>(call, a + i, bj, streams, c + i, j);
    if (kTogether > 2 && i + 2 <= rows) {
      DotBlock<2>(call, a + i, bj, streams, c + i, j);
      i += 2;
    }
    for (; i < rows; ++i) DotBlock<1>(call, a + i, bj, streams, c + i, j);
  }
}

/// Rows begin .. end of every matrix. Those who share one meet it together.
template <class T, class W>
void GemvAs(const GemvCall& call, int64_t begin, int64_t end) {
  constexpr int64_t kMost = 64;
  const auto whose = [&](int64_t i) { return call.b_of_a ? call.b_of_a[i] : i; };
  for (int64_t first = 0; first < call.batch; ++first) {
    const int64_t matrix = whose(first);
    T* const c_of_first = static_cast<T*>(call.c) + first * call.m * call.n;
    if (matrix < 0)
      for (int64_t i = 0; i < call.m; ++i)
        std::fill(c_of_first + i * call.n + begin, c_of_first + i * call.n + end, T());
    bool seen = matrix < 0;
    for (int64_t i = 0; call.b_of_a && i < first; ++i) seen = seen || whose(i) == matrix;
    if (seen) continue;
    const W* const b = static_cast<const W*>(call.b) + matrix * call.b_stride;
    const float* a[kMost];
    T* c[kMost];
    int64_t rows = 0;
    const auto meet = [&] {
      MeetRows(call, a, rows, b, c, begin, end);
      rows = 0;
    };
    for (int64_t one = first; one < (call.b_of_a ? call.batch : first + 1); ++one)
      for (int64_t i = one * call.m; whose(one) == matrix && i < (one + 1) * call.m; ++i) {
        a[rows] = call.a + i * call.k;
        c[rows] = static_cast<T*>(call.c) + i * call.n;
        if (++rows == kMost) meet();
      }
    meet();
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

Tensor nt_shared(const Tensor& a_BMK, const Tensor& b_BNK, const Tensor& b_of_a_B) {
  const Tensor a = in_fp32(a_BMK);
  auto sizes = a.sizes().vec();
  sizes.back() = b_BNK.size(-2);
  const Tensor c = at::empty(sizes, a_BMK.options());
  const bool batched = a.dim() == 3;
  const int64_t N = b_BNK.size(-2), K = a.size(-1);
  const GemvCall call{a_BMK.scalar_type(),
                      b_BNK.scalar_type(),
                      batched ? a.size(0) : 1,
                      a.size(-2),
                      N,
                      K,
                      b_BNK.stride(-2),
                      batched ? b_BNK.stride(0) : 0,
                      a.const_data_ptr<float>(),
                      b_BNK.const_data_ptr(),
                      c.data_ptr(),
                      b_of_a_B.defined() ? b_of_a_B.const_data_ptr<int64_t>() : nullptr};
  cpu::parallel({a, b_BNK, c, b_of_a_B}, N, cpu::grain(K * call.batch),
                [call, run = HWY_DYNAMIC_DISPATCH(Gemv)](int64_t begin, int64_t end) { run(call, begin, end); });
  return c;
}

Tensor nt(const Tensor& a_BMK, const Tensor& b_BNK) { return nt_shared(a_BMK, b_BNK, Tensor()); }

}  // namespace

const GemvKernels gemv_cpu{8, 8, nt, nt_shared};

}  // namespace ingrain::ops
#endif
