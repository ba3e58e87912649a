// Windowed attention for few queries (decoding): k and v are read once, as they lie, at the speed of memory.
// Per instruction set.
#if defined(INGRAIN_OPS_ATTENTION_FEW_QUERIES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_FEW_QUERIES_INL_H_
#undef INGRAIN_OPS_ATTENTION_FEW_QUERIES_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_FEW_QUERIES_INL_H_
#endif

#include "ops/windowed_attention/forward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// s[j] = <q, k_j> for n rows of k, four at a time.
template <class T>
void Scores(const float* q, const T* k, int64_t stride, int64_t n, int64_t d, float* s) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const T* const row = k + j * stride;
    V s0 = Zero(), s1 = Zero(), s2 = Zero(), s3 = Zero();
    for (int64_t i = 0; i < d; i += Lanes()) {
      const V qi = Load(q + i);
      s0 = hn::MulAdd(qi, LoadUpTo(row + i, d - i), s0);
      s1 = hn::MulAdd(qi, LoadUpTo(row + stride + i, d - i), s1);
      s2 = hn::MulAdd(qi, LoadUpTo(row + 2 * stride + i, d - i), s2);
      s3 = hn::MulAdd(qi, LoadUpTo(row + 3 * stride + i, d - i), s3);
    }
    StoreSums(s0, s1, s2, s3, s + j);
  }
  for (; j < n; ++j) {
    V sum = Zero();
    for (int64_t i = 0; i < d; i += Lanes()) sum = hn::MulAdd(Load(q + i), LoadUpTo(k + j * stride + i, d - i), sum);
    s[j] = Sum(sum);
  }
}

/// o += sum over n rows of p[j] v_j; four vectors of o stay in registers.
template <class T>
void AddValues(const float* p, const T* v, int64_t stride, int64_t n, int64_t d, float* o) {
  const int64_t L = Lanes();
  int64_t i = 0;
  for (; i + 4 * L <= d; i += 4 * L) {
    V o0 = Load(o + i), o1 = Load(o + i + L), o2 = Load(o + i + 2 * L), o3 = Load(o + i + 3 * L);
    for (int64_t j = 0; j < n; ++j) {
      const V pj = Set(p[j]);
      const T* const row = v + j * stride + i;
      o0 = hn::MulAdd(pj, Load(row), o0);
      o1 = hn::MulAdd(pj, Load(row + L), o1);
      o2 = hn::MulAdd(pj, Load(row + 2 * L), o2);
      o3 = hn::MulAdd(pj, Load(row + 3 * L), o3);
    }
    Store(o0, o + i);
    Store(o1, o + i + L);
    Store(o2, o + i + 2 * L);
    Store(o3, o + i + 3 * L);
  }
  for (; i < d; i += L) {
    V sum = Load(o + i);
    for (int64_t j = 0; j < n; ++j) sum = hn::MulAdd(Set(p[j]), LoadUpTo(v + j * stride + i, d - i), sum);
    Store(sum, o + i);
  }
}

/// Keys [key_begin, key_end) of one kv head for all queries of all its heads (rows: token times groups).
/// partial: [rows][padded] of unnormalized outputs, then [rows] maxima and [rows] sums.
template <class T>
void FewQueriesAs(const AttentionCall& c, int64_t kv_head, int64_t key_begin, int64_t key_end, float* scratch,
                  float* partial) {
  const int64_t rows = c.tokens * c.groups(), padded = c.padded(), d = c.head_dim;
  float *const q = scratch, *const s = q + rows * padded, *const max = partial + rows * padded, *const sum = max + rows;
  std::fill(partial, max, 0.0f);
  std::fill(max, sum, -std::numeric_limits<float>::infinity());
  std::fill(sum, sum + rows, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t head = kv_head * c.groups() + row % c.groups();
    PackRow(static_cast<const T*>(c.q) + RowOffset(c, 0, head, c.q_heads, row / c.groups()), d, c.scale, q + row * padded, padded);
  }
  for (int64_t first = key_begin; first < key_end;) {
    const int64_t limit = first < c.past ? std::min(c.past, key_end) : key_end;  // a step is all old or all new
    const int64_t n = std::min(kFewKeys, limit - first);
    const int64_t stride = first < c.past ? c.k.past_stride : c.kv_heads * d;
    const int64_t v_stride = first < c.past ? c.v.past_stride : c.kv_heads * d;
    const T *const k = KeyRows<T>(c, c.k, kv_head, 0)[first], *const v = KeyRows<T>(c, c.v, kv_head, 0)[first];
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t query = row / c.groups();
      const int64_t from = std::max(c.first_key(query), first), to = std::min(c.last_key(query) + 1, first + n);
      if (from >= to) continue;
      const int64_t seen = to - from, skipped = from - first;
      Scores(q + row * padded, k + skipped * stride, stride, seen, d, s);
      float m = max[row];
      for (int64_t j = 0; j < seen; ++j) m = HWY_MAX(m, s[j]);
      if (m > max[row]) {
        const float shrink = std::exp(max[row] - m);
        max[row] = m;
        sum[row] *= shrink;
        ScaleRow(partial + row * padded, padded, shrink);
      }
      V total = Zero();
      for (int64_t j = 0; j < seen; j += Lanes()) {
        V p = Exp(hn::Sub(LoadUpTo(s + j, seen - j), Set(m)));
        if (seen - j < int64_t(Lanes())) p = hn::IfThenElseZero(hn::FirstN(D(), seen - j), p);
        total = hn::Add(total, p);
        StoreUpTo(p, s + j, seen - j);
      }
      sum[row] += Sum(total);
      AddValues(s, v + skipped * v_stride, v_stride, seen, d, partial + row * padded);
    }
    first += n;
  }
}

/// Adds up the splits of one kv head: partials lie `stride` floats apart.
template <class T>
void MergeFewQueriesAs(const AttentionCall& c, int64_t kv_head, int64_t splits, int64_t stride, float* partials, void* o,
                       float* lse) {
  const int64_t rows = c.tokens * c.groups(), padded = c.padded();
  for (int64_t row = 0; row < rows; ++row) {
    const auto max_of = [&](int64_t split) { return partials[split * stride + rows * padded + row]; };
    float max = max_of(0), total = 0;
    for (int64_t split = 1; split < splits; ++split) max = HWY_MAX(max, max_of(split));
    float* const sum = partials + row * padded;
    for (int64_t split = 0; split < splits; ++split) {
      const float weight = std::exp(max_of(split) - max);
      const float* const part = partials + split * stride + row * padded;
      total += weight * partials[split * stride + rows * (padded + 1) + row];
      for (int64_t i = 0; i < padded; i += Lanes()) {
        const V scaled = hn::Mul(Load(part + i), Set(weight));
        Store(split == 0 ? scaled : hn::Add(Load(sum + i), scaled), sum + i);
      }
    }
    const int64_t head = kv_head * c.groups() + row % c.groups(), query = row / c.groups();
    lse[head * c.tokens + query] = max + std::log(total);
    NarrowRow(sum, c.head_dim, 1 / total, static_cast<T*>(o) + RowOffset(c, 0, head, c.q_heads, query));
  }
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
