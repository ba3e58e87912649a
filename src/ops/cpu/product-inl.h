// A small matrix product in fp32 for use inside a kernel's tiles: operands that lie in the caches, no packing, no
// threads. Some 230 GFLOP/s a core with AVX-512 (Zen 5), 120 with AVX2. Per instruction set.
#if defined(INGRAIN_OPS_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_CPU_PRODUCT_INL_H_
#undef INGRAIN_OPS_CPU_PRODUCT_INL_H_
#else
#define INGRAIN_OPS_CPU_PRODUCT_INL_H_
#endif

#include "ops/cpu/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// The left operand: element (i, k) at data[i * row + k * column], so that a transposed matrix is only a view.
struct LeftView {
  const float* data;
  size_t row, column;
};

/// Rows times vectors of C that stay in registers: 12 sums, 2 of B and 1 of A fit AVX2's 16 and keep two
/// multiply-add units busy.
constexpr int kRows = 6, kVectors = 2;

template <int Rows, int Vectors>
void RegisterTile(size_t k, LeftView a, const float* HWY_RESTRICT b, size_t ldb, float* HWY_RESTRICT c, size_t ldc,
                  bool add) {
  const size_t L = Lanes();
  V sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) sum[i][j] = add ? Load(c + i * ldc + j * L) : Zero();
  for (size_t p = 0; p < k; ++p) {
    V right[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) right[j] = Load(b + p * ldb + j * L);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const V left = Set(a.data[i * a.row + p * a.column]);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) Store(sum[i][j], c + i * ldc + j * L);
}

template <int Vectors>
void Panel(size_t m, size_t k, LeftView a, const float* b, size_t ldb, float* c, size_t ldc, bool add) {
  size_t i = 0;
  for (; i + kRows <= m; i += kRows)
    RegisterTile<kRows, Vectors>(k, {a.data + i * a.row, a.row, a.column}, b, ldb, c + i * ldc, ldc, add);
  const LeftView rest{a.data + i * a.row, a.row, a.column};
  switch (m - i) {
    case 5: return RegisterTile<5, Vectors>(k, rest, b, ldb, c + i * ldc, ldc, add);
    case 4: return RegisterTile<4, Vectors>(k, rest, b, ldb, c + i * ldc, ldc, add);
    case 3: return RegisterTile<3, Vectors>(k, rest, b, ldb, c + i * ldc, ldc, add);
    case 2: return RegisterTile<2, Vectors>(k, rest, b, ldb, c + i * ldc, ldc, add);
    case 1: return RegisterTile<1, Vectors>(k, rest, b, ldb, c + i * ldc, ldc, add);
    default: return;
  }
}

/// C = A B, or C += A B where `add`. C: [m, n], B: [k, n], n a multiple of the lanes.
inline void Product(size_t m, size_t n, size_t k, LeftView a, const float* b, size_t ldb, float* c, size_t ldc, bool add) {
  const size_t L = Lanes();
  size_t j = 0;
  for (; j + kVectors * L <= n; j += kVectors * L) Panel<kVectors>(m, k, a, b + j, ldb, c + j, ldc, add);
  for (; j < n; j += L) Panel<1>(m, k, a, b + j, ldb, c + j, ldc, add);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
