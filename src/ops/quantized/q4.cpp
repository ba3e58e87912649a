// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_Q4  // what all of them share
#define INGRAIN_OPS_Q4
#define INGRAIN_WITH_NATIVE_BF16  // those processors multiply whole numbers and add them at once
#include "ops/simd/targets.h"
#include "ops/quantized/quantized.h"

#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>

namespace ingrain::ops {

inline constexpr int64_t kQ4Rows = 16;

/// The same block of 16 rows. A vector holds rows beside each other: there is no sum across a vector, and scales are
/// loaded as one. A row's word holds 8 columns; numbers of 4 bits that are 16 bits apart are neighbours: columns 0 and
/// 1 lie in bits 0-3 and 16-19, columns 2 and 3 in bits 4-7 and 20-23. So one mask makes a pair of 16-bit numbers.
struct Q4Group {
  c10::Half scale[kQ4Rows], least[kQ4Rows];
  uint32_t words[kQuantizedBlock / 8][kQ4Rows];
};
static_assert(sizeof(Q4Group) == 20 * kQ4Rows);

/// Where column p (of 32) of a row lies in its words.
inline constexpr int shift_of(int64_t p) { return static_cast<int>(p % 8 / 2 * 4 + p % 2 * 16); }

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantized/q4.cpp"
#include <hwy/foreach_target.h>
#include "ops/quantized/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

constexpr int kVectors = kQ4Rows / hn::MaxLanes(D());  // of a group

HWY_INLINE V LoadHalves(const c10::Half* p) {
  const hn::Rebind<hwy::float16_t, D> halves;
  return hn::PromoteTo(D(), hn::LoadU(halves, reinterpret_cast<const hwy::float16_t*>(p)));
}

/// c[i] = <a_i, w_j> for M rows of a and a group of rows of w.
template <int M, class T>
HWY_INLINE void Q4Dots(const QuantizedCall& call, int64_t row, const Q4Group* w, T* c) {
  const int64_t K = call.blocks * kQuantizedBlock;
  const int16_t* const a = call.a + row * K;
  const float *const a_scale = call.a_scale + row * call.blocks, *const a_sum = call.a_sum + row * call.blocks;
  V sum[M][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Zero();
  for (int64_t b = 0; b < call.blocks; ++b) {
    const int16_t* const x = a + b * kQuantizedBlock;
    PrefetchBytes<Cache::first, sizeof(Q4Group)>(reinterpret_cast<const char*>(w + b) + kStreamAhead);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const int64_t lane = j * int64_t(Lanes());
      PairSums ones[M], sixteens[M];  // of weights, and of weights times 16, which saves shifting them
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        ones[i].Clear();
        sixteens[i].Clear();
      }
#pragma GCC unroll 4
      for (int p = 0; p < kQuantizedBlock; p += 8) {
        const VI low = hn::LoadU(DI(), reinterpret_cast<const int32_t*>(w[b].words[p / 8]) + lane),
                 high = hn::ShiftRight<8>(low);
        const VI mask = hn::Set(DI(), 0x000f000f), mask16 = hn::Set(DI(), 0x00f000f0);
        const VI w0 = hn::And(low, mask), w2 = hn::And(low, mask16), w4 = hn::And(high, mask),
                 w6 = hn::And(high, mask16);
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
          const int16_t* const pairs = x + i * K + p;
          ones[i].Add(SetPair(pairs), w0);
          sixteens[i].Add(SetPair(pairs + 2), w2);
          ones[i].Add(SetPair(pairs + 4), w4);
          sixteens[i].Add(SetPair(pairs + 6), w6);
        }
      }
      const V scale = LoadHalves(w[b].scale + lane), least = LoadHalves(w[b].least + lane);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        const V dots = hn::ConvertTo(D(), hn::Add(ones[i].Total(), hn::ShiftRight<4>(sixteens[i].Total())));
        sum[i][j] = hn::MulAdd(least, Set(a_sum[i * call.blocks + b]), sum[i][j]);
        sum[i][j] = hn::MulAdd(hn::Mul(scale, Set(a_scale[i * call.blocks + b])), dots, sum[i][j]);
      }
    }
  }
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kVectors; ++j) Store(sum[i][j], c + i * call.n + j * int64_t(Lanes()));
}

/// A group's block to a panel's rows from `lane` on.
HWY_INLINE void ExpandGroup(const Q4Group& w, int64_t lane, Panel& panel) {
  const VI mask = hn::Set(DI(), 0x000f000f);
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const int64_t from = j * int64_t(Lanes()), to = lane + from;
#pragma GCC unroll 4
    for (int p = 0; p < kQuantizedBlock / 8; ++p) {
      const VI word = hn::LoadU(DI(), reinterpret_cast<const int32_t*>(w.words[p]) + from);
      hn::Store(hn::And(word, mask), DI(), panel.pairs[4 * p] + to);
      hn::Store(hn::And(hn::ShiftRight<4>(word), mask), DI(), panel.pairs[4 * p + 1] + to);
      hn::Store(hn::And(hn::ShiftRight<8>(word), mask), DI(), panel.pairs[4 * p + 2] + to);
      hn::Store(hn::And(hn::ShiftRight<12>(word), mask), DI(), panel.pairs[4 * p + 3] + to);
    }
    Store(LoadHalves(w.scale + from), panel.scale + to);
    Store(LoadHalves(w.least + from), panel.least + to);
  }
}

template <class T>
void Q4PanelsAs(const QuantizedCall& call, int64_t begin, int64_t end) {
  const auto* const w = static_cast<const Q4Group*>(call.w);
  MeetPanels</*kLeast=*/true, T>(
      call, begin * kQ4Rows, end * kQ4Rows, [&](int64_t row, int64_t columns, int64_t block, Panel& panel) {
        for (int64_t lane = 0; lane < columns; lane += kQ4Rows) {
          const Q4Group* const group = w + (row + lane) / kQ4Rows * call.blocks + block;
          PrefetchBytes<Cache::first, sizeof(Q4Group)>(reinterpret_cast<const char*>(group) + kStreamAhead);
          ExpandGroup(*group, lane, panel);
        }
      });
}

template <class T>
void Q4GroupsAs(const QuantizedCall& call, int64_t begin, int64_t end) {
  if (call.by_block) return Q4PanelsAs<T>(call, begin, end);
  for (int64_t g = begin; g < end; ++g) {
    const Q4Group* const w = static_cast<const Q4Group*>(call.w) + g * call.blocks;
    T* const c = static_cast<T*>(call.c) + g * kQ4Rows;
    int64_t i = 0;
    for (; i + 4 <= call.m; i += 4) Q4Dots<4>(call, i, w, c + i * call.n);
    for (; i + 2 <= call.m; i += 2) Q4Dots<2>(call, i, w, c + i * call.n);
    if (i < call.m) Q4Dots<1>(call, i, w, c + i * call.n);
  }
}

/// A word's 8 numbers, as weights.
HWY_INLINE void ExpandWord(uint32_t word, float scale, float least, float* w) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  for (int64_t p = 0; p < 8; ++p) w[p] = scale * static_cast<float>(word >> shift_of(p) & 15) + least;
#else
  const hn::FixedTag<float, 8> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::RebindToUnsigned<decltype(d)> du;
  alignas(32) static constexpr uint32_t kShifts[8] = {shift_of(0), shift_of(1), shift_of(2), shift_of(3),
                                                      shift_of(4), shift_of(5), shift_of(6), shift_of(7)};
  const auto q = hn::And(hn::Shr(hn::Set(du, word), hn::Load(du, kShifts)), hn::Set(du, 15));
  // Exact but for the sum: 11 bits times 4.
  hn::StoreU(hn::MulAdd(hn::Set(d, scale), hn::ConvertTo(d, hn::BitCast(di, q)), hn::Set(d, least)), d, w);
#endif
}

void Q4Expand(const void* group, int64_t blocks, float* w) {
  for (int64_t b = 0; b < blocks; ++b) {
    const Q4Group& from = static_cast<const Q4Group*>(group)[b];
    HWY_ALIGN float scale[kQ4Rows], least[kQ4Rows];
    for (int64_t j = 0; j < kQ4Rows; j += int64_t(Lanes())) {
      Store(LoadHalves(from.scale + j), scale + j);
      Store(LoadHalves(from.least + j), least + j);
    }
    for (int64_t r = 0; r < kQ4Rows; ++r)
#pragma GCC unroll 4
      for (int64_t p = 0; p < kQuantizedBlock / 8; ++p)
        ExpandWord(from.words[p][r], scale[r], least[r], w + (r * blocks + b) * kQuantizedBlock + 8 * p);
  }
}

void Q4Groups(const QuantizedCall& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? Q4GroupsAs<float>(call, begin, end) : Q4GroupsAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Q4Groups);
HWY_EXPORT(Q4Expand);

void quantize_block(const float* w, Q4Group& to, int64_t r) {
  const auto [least, most] = std::minmax_element(w, w + kQuantizedBlock);
  const float m = to.least[r] = *least, d = to.scale[r] = (*most - *least) / 15;
  for (int64_t p = 0; p < kQuantizedBlock; ++p) {
    // A scale of 0 stands for weights that are all alike, or nearly.
    const float q = d == 0 ? 0.0f : std::clamp(std::nearbyint((w[p] - m) / d), 0.0f, 15.0f);
    to.words[p / 8][r] |= static_cast<uint32_t>(q) << shift_of(p);
  }
}

void quantize_group(const float* w, int64_t blocks, void* group) {
  for (int64_t b = 0; b < blocks; ++b) {
    Q4Group& to = static_cast<Q4Group*>(group)[b] = {};
    for (int64_t r = 0; r < kQ4Rows; ++r) quantize_block(w + (r * blocks + b) * kQuantizedBlock, to, r);
  }
}

void dequantize_group(const void* group, int64_t blocks, float* w) { HWY_DYNAMIC_DISPATCH(Q4Expand)(group, blocks, w); }

/// A file's block: scale, least, and 16 bytes, of which byte i holds number i below and number i + 16 above.
void take_group(const void* rows, int64_t blocks, void* group) {
  constexpr int64_t kBytes = sizeof(Q4Group) / kQ4Rows;
  for (int64_t b = 0; b < blocks; ++b) {
    Q4Group& to = static_cast<Q4Group*>(group)[b] = {};
    for (int64_t r = 0; r < kQ4Rows; ++r) {
      const auto* const from = static_cast<const uint8_t*>(rows) + (r * blocks + b) * kBytes;
      std::memcpy(&to.scale[r], from, 2);
      std::memcpy(&to.least[r], from + 2, 2);
      for (int64_t p = 0; p < kQuantizedBlock; ++p) {
        const uint32_t q = p < 16 ? from[4 + p] & 15 : from[4 + p - 16] >> 4;
        to.words[p / 8][r] |= q << shift_of(p);
      }
    }
  }
}

void multiply(const QuantizedCall& call, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(Q4Groups)(call, begin, end);
}

}  // namespace

// Sums are the same either way, to the last bit.
const QuantizedFormat q4_1{"q4_1",
                           kQ4Rows,
                           kQuantizedBlock,
                           sizeof(Q4Group) / kQ4Rows,
                           65504,
                           8,
                           quantize_group,
                           dequantize_group,
                           multiply,
                           take_group,
                           0,
                           2};

}  // namespace ingrain::ops
#endif
