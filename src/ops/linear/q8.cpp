// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_Q8  // what all of them share
#define INGRAIN_OPS_Q8
#include "ops/cpu/targets.h"
#include "ops/cpu/parallel.h"
#include "ops/linear/q8.h"

#include "base/error.h"

#include <cmath>
#include <limits>

namespace ingrain::ops {

struct Q8Block {
  float scale;
  int8_t q[kQ8Block];
};
static_assert(sizeof(Q8Block) == 36);

struct Q8Call {
  at::ScalarType type;
  int64_t m, n, blocks;  // blocks of a row
  const int16_t* a;      // [m, 32 blocks]
  const float* a_scale;  // [m, blocks]
  const Q8Block* w;      // [n, blocks]
  void* c;               // [m, n] of type
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/linear/q8.cpp"
#include <hwy/foreach_target.h>
#include "ops/linear/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

using DI = hn::RebindToSigned<D>;
using Sums = hn::Vec<DI>;

/// A block's products with M rows of whole numbers (K apart), in sums whose own sum is the dot product: 32 * 32767 * 127 < 2^31.
template <int M>
HWY_INLINE void Dots(const int16_t* x, int64_t K, const int8_t* q, Sums (&dots)[M]) {
  const DI d32;
  for (int i = 0; i < M; ++i) dots[i] = hn::Zero(d32);
#if HWY_TARGET == HWY_SCALAR
  for (int64_t p = 0; p < kQ8Block; ++p)
    for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], hn::Set(d32, int32_t{x[i * K + p]} * q[p]));
#else
  const hn::RepartitionToNarrow<DI> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  Sums second[M];  // where some instruction sets put half of the products
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) second[i] = hn::Zero(d32);
#pragma GCC unroll 4
  for (size_t p = 0; p < kQ8Block; p += hn::Lanes(d16)) {
    const auto q16 = hn::PromoteTo(d16, hn::LoadU(d8, q + p));
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) dots[i] = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, x + i * K + p), q16, dots[i], second[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], second[i]);
#endif
}

/// Blocks of a as whole numbers: a block's largest magnitude becomes 32767. What is not finite makes its block NaN.
template <class T>
HWY_INLINE void RoundBlocks(const T* a, int64_t blocks, int16_t* out, float* scale) {
  const hn::Rebind<int16_t, D> half16;
  for (int64_t b = 0; b < blocks; ++b, a += kQ8Block, out += kQ8Block) {
    V largest = Zero(), sum = Zero();
    for (size_t p = 0; p < kQ8Block; p += Lanes()) {
      const V magnitude = hn::Abs(Load(a + p));
      largest = hn::Max(largest, magnitude);
      sum = hn::Add(sum, magnitude);
    }
    const float most = Max(largest), all = Sum(sum);
    // Below the smallest normal numbers 1 / scale would overflow.
    const bool finite = all <= std::numeric_limits<float>::max(), zero = most < 1e-30f;
    scale[b] = finite ? (zero ? 0.0f : most / 32767) : std::numeric_limits<float>::quiet_NaN();
    const V inverse = Set(finite && !zero ? 32767 / most : 0.0f);
    for (size_t p = 0; p < kQ8Block; p += Lanes())
      hn::StoreU(hn::DemoteTo(half16, hn::NearestInt(hn::Mul(Load(a + p), inverse))), half16, out + p);
  }
}

/// a: [rows, 32 blocks] of `type`, contiguous.
void RoundRows(at::ScalarType type, const void* a, int64_t rows, int64_t blocks, int16_t* out, float* scale) {
  const int64_t whole = rows * blocks;  // a block knows nothing of its row
  type == at::kFloat ? RoundBlocks(static_cast<const float*>(a), whole, out, scale)
                     : RoundBlocks(static_cast<const BFloat16*>(a), whole, out, scale);
}

/// c[i][j] = <a_i, w_j> for M rows of a and `streams` (up to kStreams) rows of w.
template <int M, class T>
HWY_INLINE void Q8Dots(const Q8Call& call, const int16_t* a, const float* a_scale, const Q8Block* w, int64_t streams, T* c) {
  const int64_t K = call.blocks * kQ8Block;
  V sum[M][kStreams];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) sum[i][j] = Zero();
  const Q8Block* row[kStreams];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
  for (int j = 0; j < kStreams; ++j) row[j] = w + HWY_MIN(int64_t{j}, streams - 1) * call.blocks;
  const char* const next = reinterpret_cast<const char*>(w + kStreams * call.blocks);
  for (int64_t b = 0; b < call.blocks; ++b) {
    const int16_t* const x = a + b * kQ8Block;
    PrefetchBytes<kStreams * sizeof(Q8Block)>(next + b * kStreams * int64_t{sizeof(Q8Block)});
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) {
      Sums dots[M];
      Dots<M>(x, K, row[j][b].q, dots);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i)
        sum[i][j] = hn::MulAdd(hn::ConvertTo(D(), dots[i]), Set(row[j][b].scale * a_scale[i * call.blocks + b]), sum[i][j]);
    }
  }
  StoreDots(sum, streams, c, call.n);
}

template <class T>
void Q8RowsAs(const Q8Call& call, int64_t begin, int64_t end) {
  const int64_t K = call.blocks * kQ8Block;
  for (int64_t j = begin; j < end; j += kStreams) {
    const int64_t streams = HWY_MIN(int64_t{kStreams}, end - j);
    const Q8Block* const w = call.w + j * call.blocks;
    T* const c = static_cast<T*>(call.c) + j;
    int64_t i = 0;
    for (; i + 2 <= call.m; i += 2) Q8Dots<2>(call, call.a + i * K, call.a_scale + i * call.blocks, w, streams, c + i * call.n);
    if (i < call.m) Q8Dots<1>(call, call.a + i * K, call.a_scale + i * call.blocks, w, streams, c + i * call.n);
  }
}

void Q8Rows(const Q8Call& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? Q8RowsAs<float>(call, begin, end) : Q8RowsAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Q8Rows);
HWY_EXPORT(RoundRows);

Q8Block pack_block(const float* x) {
  float largest = 0;
  for (int64_t i = 0; i < kQ8Block; ++i) largest = std::max(largest, std::abs(x[i]));
  Q8Block out{largest / 127, {}};
  if (out.scale == 0) return out;  // zeros, or so small that the scale is
  for (int64_t i = 0; i < kQ8Block; ++i)
    out.q[i] = static_cast<int8_t>(std::clamp(std::nearbyint(x[i] / out.scale), -127.0f, 127.0f));
  return out;
}

const Q8Block* blocks_of(const Tensor& packed) { return static_cast<const Q8Block*>(packed.const_data_ptr()); }
int64_t row_blocks(const Tensor& packed) { return packed.size(1) / static_cast<int64_t>(sizeof(Q8Block)); }

}  // namespace

Tensor pack_q8(const Tensor& w_NK) {
  const int64_t N = w_NK.size(0), K = w_NK.size(1);
  require(K % kQ8Block == 0, "a matrix with rows of {} weights cannot be packed in blocks of {}", K, kQ8Block);
  const Tensor w = w_NK.detach().to(at::kFloat).contiguous();
  const Tensor out = at::empty({N, K / kQ8Block * static_cast<int64_t>(sizeof(Q8Block))}, at::kByte);
  auto* const blocks = static_cast<Q8Block*>(out.data_ptr());
  at::parallel_for(0, N * K / kQ8Block, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) blocks[b] = pack_block(w.const_data_ptr<float>() + b * kQ8Block);
  });
  return out;
}

Tensor unpack_q8(const Tensor& packed) {
  const int64_t N = packed.size(0), blocks = row_blocks(packed);
  const Tensor out = at::empty({N, blocks * kQ8Block}, at::kFloat);
  float* x = out.data_ptr<float>();
  for (int64_t b = 0; b < N * blocks; ++b)
    for (const int8_t q : blocks_of(packed)[b].q) *x++ = blocks_of(packed)[b].scale * static_cast<float>(q);
  return out;
}

Tensor q8_nt(const Tensor& a_MK, const Tensor& packed) {
  require(a_MK.size(1) == row_blocks(packed) * kQ8Block, "a packed matrix of {} columns meets rows of {}", row_blocks(packed) * kQ8Block, a_MK.size(1));
  const int64_t M = a_MK.size(0), N = packed.size(0), blocks = row_blocks(packed);
  const Tensor a = a_MK.contiguous(), c = at::empty({M, N}, a_MK.options());
  const Tensor a16 = at::empty({M, blocks * kQ8Block}, at::kShort), scale = at::empty({M, blocks}, at::kFloat);
  HWY_DYNAMIC_DISPATCH(RoundRows)(a.scalar_type(), a.const_data_ptr(), M, blocks, a16.data_ptr<int16_t>(), scale.data_ptr<float>());
  const Q8Call call{a_MK.scalar_type(), M, N, blocks, a16.const_data_ptr<int16_t>(), scale.const_data_ptr<float>(), blocks_of(packed), c.data_ptr()};
  const auto run = HWY_DYNAMIC_DISPATCH(Q8Rows);
  at::parallel_for(0, call.n, cpu::grain(a.size(1)), [&](int64_t begin, int64_t end) { run(call, begin, end); });
  return c;
}

}  // namespace ingrain::ops
#endif
