// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/windowed_attention/cpu/decode_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/windowed_attention/cpu/decode_attention.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/prefetch.h"
#include "ops/windowed_attention/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// So many heads that share a key meet it together: their sums stay in registers.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
constexpr int kHeadsAtOnce = 4;
#else
constexpr int kHeadsAtOnce = 2;
#endif

/// Rows of keys or values, of one head.
template <class T>
struct Rows {
  const T *first, *rest;
  int64_t first_rows, first_stride, rest_stride;
  Rows(const DecodeAttention& c, const KeyRuns& runs, int64_t kv_head)
      : first(static_cast<const T*>(runs.first) + kv_head * c.head_dim),
        rest(static_cast<const T*>(runs.rest) + kv_head * c.head_dim),
        first_rows(c.first_rows),
        first_stride(runs.first_stride),
        rest_stride(runs.rest_stride) {}

  const T* operator[](int64_t row) const {
    return row < first_rows ? first + row * first_stride : rest + (row - first_rows) * rest_stride;
  }
  int64_t stride(int64_t row) const { return row < first_rows ? first_stride : rest_stride; }

  /// run(begin, end) for the rows' parts that lie in one place.
  template <class Run>
  void in_one_place(int64_t begin, int64_t end, const Run& run) const {
    const int64_t middle = std::clamp(first_rows, begin, end);
    if (begin < middle) run(begin, middle);
    if (middle < end) run(middle, end);
  }
};

// A head's rows lie apart, so that the processor does not see them coming: they are asked for a step ahead.

/// s[r][j] = <q_r, k_j> for R queries, `padded` apart, and n rows of k; up to 3 scores behind the last are written,
/// too.
template <int R, class T>
HWY_INLINE void Scores(const float* q, int64_t padded, const T* k, int64_t stride, int64_t n, int64_t d, float* s) {
  for (int64_t j = 0; j < n; j += 4) {
    const T* row[4];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) row[i] = k + HWY_MIN(j + i, n - 1) * stride;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) Prefetch<Cache::second>(row[i] + kFewKeys * stride, d);
    V sum[R][4];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[r][i] = Zero();
    for (int64_t p = 0; p < d; p += Lanes()) {
      V key[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) key[i] = LoadUpTo(row[i] + p, d - p);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const V query = Load(q + r * padded + p);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) sum[r][i] = hn::MulAdd(query, key[i], sum[r][i]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) StoreSums(sum[r][0], sum[r][1], sum[r][2], sum[r][3], s + r * kScoreRow + j);
  }
}

/// o_r += sum over n rows of p[r][j] v_j, one row after the other; `Vectors` vectors of each o stay in registers.
template <int R, int Vectors, class T>
HWY_INLINE void AddValuesAt(const float* p, const T* v, int64_t stride, int64_t n, int64_t left, int64_t padded,
                            float* o) {
  const int64_t L = Lanes();
  V sum[R][Vectors];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < Vectors; ++i) sum[r][i] = Load(o + r * padded + i * L);
  for (int64_t j = 0; j < n; ++j) {
    Prefetch<Cache::second>(v + (j + kFewKeys) * stride, Vectors * L);
    V value[Vectors];
#pragma GCC unroll 4
    for (int i = 0; i < Vectors; ++i) value[i] = LoadUpTo(v + j * stride + i * L, left - i * L);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const V weight = Set(p[r * kScoreRow + j]);
#pragma GCC unroll 4
      for (int i = 0; i < Vectors; ++i) sum[r][i] = hn::MulAdd(weight, value[i], sum[r][i]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < Vectors; ++i) Store(sum[r][i], o + r * padded + i * L);
}

template <int R, class T>
HWY_INLINE void AddValues(const float* p, const T* v, int64_t stride, int64_t n, int64_t d, int64_t padded, float* o) {
  const int64_t L = Lanes();
  int64_t i = 0;
  for (; i + 4 * L <= d; i += 4 * L) AddValuesAt<R, 4>(p, v + i, stride, n, 4 * L, padded, o + i);
  for (; i < d; i += L) AddValuesAt<R, 1>(p, v + i, stride, n, d - i, padded, o + i);
}

/// Scores to unnormalized probabilities, with a maximum and a sum carried from step to step.
HWY_INLINE void SoftmaxStep(int64_t n, float* s, float& max, float& sum, float* o, int64_t padded) {
  const V lowest = Set(-std::numeric_limits<float>::infinity());
  for (int64_t j = n; j < n + int64_t(Lanes()) - 1; ++j) s[j] = hn::GetLane(lowest);
  V largest = lowest;
  for (int64_t j = 0; j < n; j += Lanes()) largest = hn::Max(largest, Load(s + j));
  const float m = HWY_MAX(max, Max(largest));
  if (m > max) {
    const float shrink = std::exp(max - m);
    max = m;
    sum *= shrink;
    ScaleRow(o, padded, shrink);
  }
  V total = Zero();
  for (int64_t j = 0; j < n; j += Lanes()) {
    const V p = Exp(hn::Sub(Load(s + j), Set(m)));  // 0 behind the last
    total = hn::Add(total, p);
    Store(p, s + j);
  }
  sum += Sum(total);
}

static_assert(kScoreRow - kFewKeys >= int64_t(hn::MaxLanes(D())));

/// What R heads that share a key have: `padded` apart in q and o, kScoreRow in s.
struct HeadsAtOnce {
  const float* q;
  float *o, *max, *sum, *s;
};

/// Rows from .. to, at most kFewKeys, for R heads that see them all.
template <int R, class T>
void MeetRows(const DecodeAttention& c, const Rows<T>& k, const Rows<T>& v, int64_t from, int64_t to,
              const HeadsAtOnce& heads) {
  const int64_t padded = c.padded(), d = c.head_dim;
  k.in_one_place(from, to, [&](int64_t begin, int64_t end) {
    Scores<R>(heads.q, padded, k[begin], k.stride(begin), end - begin, d, heads.s + (begin - from));
  });
  for (int r = 0; r < R; ++r)
    SoftmaxStep(to - from, heads.s + r * kScoreRow, heads.max[r], heads.sum[r], heads.o + r * padded, padded);
  v.in_one_place(from, to, [&](int64_t begin, int64_t end) {
    AddValues<R>(heads.s + (begin - from), v[begin], v.stride(begin), end - begin, d, padded, heads.o);
  });
}

/// Of `heads` heads that share a key, as many as meet it together; returns how many that were.
template <int R = kHeadsAtOnce, class T>
int64_t MeetRowsAtOnce(int64_t heads, const DecodeAttention& c, const Rows<T>& k, const Rows<T>& v, int64_t from,
                       int64_t to, const HeadsAtOnce& of) {
  if constexpr (R > 1)
    if (heads < R) return MeetRowsAtOnce<R - 1>(heads, c, k, v, from, to, of);
  MeetRows<R>(c, k, v, from, to, of);
  return R;
}

template <class T>
void MeetKeysAs(const DecodeAttention& c, int64_t begin, int64_t end, float* range) {
  const int64_t outputs = c.outputs(), padded = c.padded(), d = c.head_dim, groups = c.groups();
  float *const o = range, *const max = o + outputs * padded, *const sum = max + outputs, *const q = sum + outputs,
               *const s = q + outputs * padded;
  std::fill(o, max, 0.0f);
  std::fill(max, sum, -std::numeric_limits<float>::infinity());
  std::fill(sum, q, 0.0f);
  for (int64_t i = 0; i < outputs; ++i) TileRow(static_cast<const T*>(c.q) + i * d, d, c.scale, q + i * padded, padded);
  for (int64_t first = begin; first < end; first += kFewKeys) {
    const int64_t last = std::min(first + kFewKeys, end);
    for (int64_t kv_head = 0; kv_head < c.kv_heads; ++kv_head) {
      const Rows<T> k(c, c.k, kv_head), v(c, c.v, kv_head);
      for (int64_t query = 0; query < c.queries; ++query) {
        const int64_t own = c.before + query, from = std::max(first, own - c.window + 1), to = std::min(last, own + 1);
        if (from >= to) continue;
        for (int64_t g = 0; g < groups;) {
          const int64_t i = query * c.q_heads + kv_head * groups + g;
          g += MeetRowsAtOnce(groups - g, c, k, v, from, to, {q + i * padded, o + i * padded, max + i, sum + i, s});
        }
      }
    }
  }
}

template <class T>
void MergeRangesAs(const DecodeAttention& c, int64_t count, float* ranges, T* o, float* lse) {
  const int64_t outputs = c.outputs(), padded = c.padded(), stride = c.range_floats();
  if (c.before < 0) return std::fill(o, o + outputs * c.head_dim, T());
  for (int64_t i = 0; i < outputs; ++i) {
    const float* const max_of = ranges + outputs * padded + i;
    float max = max_of[0], total = 0;
    for (int64_t r = 1; r < count; ++r) max = HWY_MAX(max, max_of[r * stride]);
    float* const sum = ranges + i * padded;
    for (int64_t r = 0; r < count; ++r) {
      const float weight = std::exp(max_of[r * stride] - max);  // 0 for a range without keys
      const float* const part = sum + r * stride;
      total += weight * max_of[r * stride + outputs];
      for (int64_t p = 0; p < padded; p += Lanes()) {
        const V scaled = hn::Mul(Load(part + p), Set(weight));
        Store(r == 0 ? scaled : hn::Add(Load(sum + p), scaled), sum + p);
      }
    }
    if (lse) lse[i % c.q_heads * c.queries + i / c.q_heads] = max + std::log(total);
    NarrowRow(sum, c.head_dim, 1 / total, o + i * c.head_dim);
  }
}

void MeetKeys(const DecodeAttention& c, int64_t begin, int64_t end, float* range) {
  c.type == Number::fp32 ? MeetKeysAs<float>(c, begin, end, range) : MeetKeysAs<BFloat16>(c, begin, end, range);
}
void MergeRanges(const DecodeAttention& c, int64_t count, float* ranges, void* o, float* lse) {
  c.type == Number::fp32 ? MergeRangesAs(c, count, ranges, static_cast<float*>(o), lse)
                         : MergeRangesAs(c, count, ranges, static_cast<BFloat16*>(o), lse);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "ops/graph/parallel.h"

namespace ingrain::ops {
namespace {

HWY_EXPORT(MeetKeys);
HWY_EXPORT(MergeRanges);

/// Rows begin .. end, of before + queries in all, into `range` [range_floats].
void meet_keys(const DecodeAttention& call, int64_t begin, int64_t end, float* range) {
  HWY_DYNAMIC_DISPATCH(MeetKeys)(call, begin, end, range);
}

/// o [queries, q_heads, head_dim] of the call's type, from `count` ranges that cover all rows, range_floats apart; the
/// first one's memory is used for the sums. lse: [q_heads, queries], or null.
void merge_ranges(const DecodeAttention& call, int64_t count, float* ranges, void* o, float* lse) {
  HWY_DYNAMIC_DISPATCH(MergeRanges)(call, count, ranges, o, lse);
}

}  // namespace

void decode_attention(int64_t batch, int64_t parts, int64_t grain,
                      const std::function<DecodeAttention(int64_t sequence)>& call_of, const Tensor& o,
                      const Tensor& lse) {
  const int64_t floats = call_of(0).range_floats(), o_bytes = o.stride(0) * o.element_size();
  const Tensor ranges = at::empty({batch, parts, floats}, at::kFloat);
  float *const range = ranges.data_ptr<float>(), *const lse_out = lse.defined() ? lse.data_ptr<float>() : nullptr;
  cpu::parallel({ranges}, batch * parts, grain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const DecodeAttention call = call_of(i / parts);
      const int64_t rows = call.before + call.queries, part = i % parts;
      meet_keys(call, rows * part / parts, rows * (part + 1) / parts, range + i * floats);
    }
  });
  cpu::parallel({ranges, o, lse}, batch, cpu::grain(parts * floats),
                [=, out = static_cast<char*>(o.data_ptr())](int64_t begin, int64_t end) {
                  for (int64_t b = begin; b < end; ++b) {
                    const DecodeAttention call = call_of(b);
                    merge_ranges(call, parts, range + b * parts * floats, out + b * o_bytes,
                                 lse_out ? lse_out + b * call.outputs() : nullptr);
                  }
                });
}

}  // namespace ingrain::ops
#endif
