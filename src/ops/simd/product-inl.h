// A small matrix product for use inside a kernel's tiles: operands that lie in the caches, no tiles, no threads, sums
// in fp32. Those of bf16 want an AmxTiles around them (amx-inl.h). In fp32 some 230 GFLOP/s a core with AVX-512 (Zen
// 5), 120 with AVX2. Per instruction set.
#if defined(INGRAIN_OPS_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_CPU_PRODUCT_INL_H_
#undef INGRAIN_OPS_CPU_PRODUCT_INL_H_
#else
#define INGRAIN_OPS_CPU_PRODUCT_INL_H_
#endif

#include "ops/simd/amx-inl.h"
#include "ops/simd/vec-inl.h"

#include <cstring>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// Numbers along the summed dimension come in groups of 32 bits: one fp32, or a pair of bf16, which the processor
/// multiplies and adds at once. Only where it does (INGRAIN_NATIVE_BF16) are there products of bf16.
template <class E>
constexpr int64_t kGroup = sizeof(float) / sizeof(E);

HWY_INLINE V LoadGroups(const float* p) { return Load(p); }
HWY_INLINE V SetGroup(const float* p) { return Set(*p); }
HWY_INLINE V AddProducts(V a, V b, V sum) { return hn::MulAdd(a, b, sum); }
#if INGRAIN_NATIVE_BF16
HWY_INLINE __m512bh LoadGroups(const BFloat16* p) { return (__m512bh)_mm512_loadu_si512(p); }
HWY_INLINE __m512bh SetGroup(const BFloat16* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof(pair));
  return (__m512bh)_mm512_set1_epi32(pair);
}
HWY_INLINE V AddProducts(__m512bh a, __m512bh b, V sum) { return V{_mm512_dpbf16_ps(sum.raw, a, b)}; }
#endif

/// The left operand: group p of row i at data[i * row + p * column], so that a transposed matrix is only a view.
template <class E>
struct LeftView {
  const E* data;
  size_t row, column;
};

/// Rows times vectors of C that stay in registers: 12 sums, 2 of B and 1 of A fit AVX2's 16 and keep two
/// multiply-add units busy.
constexpr int kRows = 6, kVectors = 2;

template <int Rows, int Vectors, class E>
HWY_INLINE void RegisterTile(size_t groups, LeftView<E> a, const E* HWY_RESTRICT b, size_t ldb, float* HWY_RESTRICT c,
                             size_t ldc, bool add) {
  const size_t L = Lanes();
  V sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) sum[i][j] = add ? Load(c + i * ldc + j * L) : Zero();
  for (size_t p = 0; p < groups; ++p) {
    decltype(LoadGroups(b)) right[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) right[j] = LoadGroups(b + p * ldb + j * L * kGroup<E>);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const auto left = SetGroup(a.data + i * a.row + p * a.column);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) sum[i][j] = AddProducts(left, right[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) Store(sum[i][j], c + i * ldc + j * L);
}

template <int Vectors, class E>
void Panel(size_t m, size_t groups, LeftView<E> a, const E* b, size_t ldb, float* c, size_t ldc, bool add) {
  size_t i = 0;
  for (; i + kRows <= m; i += kRows)
    RegisterTile<kRows, Vectors>(groups, LeftView<E>{a.data + i * a.row, a.row, a.column}, b, ldb, c + i * ldc, ldc,
                                 add);
  const LeftView<E> rest{a.data + i * a.row, a.row, a.column};
  switch (m - i) {
    case 5: return RegisterTile<5, Vectors>(groups, rest, b, ldb, c + i * ldc, ldc, add);
    case 4: return RegisterTile<4, Vectors>(groups, rest, b, ldb, c + i * ldc, ldc, add);
    case 3: return RegisterTile<3, Vectors>(groups, rest, b, ldb, c + i * ldc, ldc, add);
    case 2: return RegisterTile<2, Vectors>(groups, rest, b, ldb, c + i * ldc, ldc, add);
    case 1: return RegisterTile<1, Vectors>(groups, rest, b, ldb, c + i * ldc, ldc, add);
    default: return;
  }
}

/// C = A B, or C += A B where `add`. C: [m, n], n a multiple of the lanes; B: [k / group][n][group], k padded with
/// zeros to whole groups, ldb numbers from group to group.
template <class E>
void Product(size_t m, size_t n, size_t k, LeftView<E> a, const E* b, size_t ldb, float* c, size_t ldc, bool add) {
  const size_t L = Lanes(), groups = (k + kGroup<E> - 1) / kGroup<E>;
#if INGRAIN_NATIVE_BF16
  if constexpr (std::is_same_v<E, BFloat16>)
    if (has_amx()) return AmxProduct(m, n, groups, a.data, a.row, a.column, b, ldb, c, ldc, add);
#endif
  size_t j = 0;
  for (; j + kVectors * L <= n; j += kVectors * L)
    Panel<kVectors>(m, groups, a, b + j * kGroup<E>, ldb, c + j, ldc, add);
  for (; j < n; j += L) Panel<1>(m, groups, a, b + j * kGroup<E>, ldb, c + j, ldc, add);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
