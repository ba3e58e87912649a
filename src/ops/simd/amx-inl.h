// Products of bf16 by AMX's tiles (Sapphire Rapids and later), for use inside a kernel's tiles; sums in fp32. Only
// where has_amx() (processor.h), and while an AmxTiles lives. Per instruction set: empty but where bf16 is native.
#if defined(INGRAIN_OPS_CPU_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_CPU_AMX_INL_H_
#undef INGRAIN_OPS_CPU_AMX_INL_H_
#else
#define INGRAIN_OPS_CPU_AMX_INL_H_
#endif

#include "ops/simd/processor.h"
#include "ops/simd/transpose-inl.h"
#include "ops/simd/vec-inl.h"

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

#if INGRAIN_NATIVE_BF16

constexpr size_t kAmxTile = 16;   // of a tile: rows, and columns of 32 bits (one fp32, or a pair of bf16)
constexpr size_t kAmxDepth = 64;  // pairs of a packed left operand

/// What was written is there: g++ 12's intrinsics do not say that they read memory
/// (findings/amx-loads-do-not-read-memory.sh).
HWY_INLINE void WrittenForTiles() { asm volatile("" ::: "memory"); }

/// While it lives, this thread's tile registers have 16 rows of 64 bytes each; others on this thread (oneDNN, MKL) set
/// their own. No effect without AMX.
class AmxTiles {
 public:
  AmxTiles() {
    if (!has_amx()) return;
    alignas(64) uint8_t config[64] = {1};  // palette 1
    for (size_t tile = 0; tile < 8; ++tile) config[16 + 2 * tile] = 4 * kAmxTile, config[48 + tile] = kAmxTile;
    WrittenForTiles();
    _tile_loadconfig(config);
  }
  ~AmxTiles() {
    if (has_amx()) _tile_release();
  }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;
};

/// Words of 32 bits, row after row; a tile takes 16 by 16 of them.
struct AmxPlace {
  const void* data;
  size_t stride;  // bytes from row to row
};
struct alignas(64) AmxCopy {
  uint32_t words[kAmxTile][kAmxTile];
};

/// Where a tile may be loaded from: where it lies, or, if there are fewer rows or columns, a copy filled up with zeros.
HWY_INLINE AmxPlace WholeTile(AmxPlace from, size_t rows, size_t columns, AmxCopy& copy) {
  if (HWY_LIKELY(rows >= kAmxTile && columns >= kAmxTile)) return from;
  std::memset(&copy, 0, sizeof(copy));
  for (size_t i = 0; i < std::min(rows, kAmxTile); ++i)
    std::memcpy(copy.words[i], static_cast<const char*>(from.data) + i * from.stride, 4 * std::min(columns, kAmxTile));
  WrittenForTiles();
  return {copy.words, sizeof(copy.words[0])};
}

/// Up to 32 rows by 32 columns (C > 1: more than 16) of C = A B or C += A B; a: [m][pairs], b: [pairs][16 or 32 pairs].
template <int R, int C>
void AmxBlock(size_t m, size_t pairs, AmxPlace a, AmxPlace b, float* c, size_t ldc, bool add) {
  AmxCopy a_copy, b_copy;
  alignas(64) float c_copy[kAmxTile][C * kAmxTile];  // where the last rows are fewer than a tile's
  const size_t whole = (R - 1) * kAmxTile, rest = m - whole;
  const bool ragged = rest < kAmxTile;
  if (ragged && add)
    for (size_t i = 0; i < rest; ++i) std::memcpy(c_copy[i], c + (whole + i) * ldc, sizeof(c_copy[0]));
  WrittenForTiles();
  float* const last = ragged ? c_copy[0] : c + whole * ldc;
  const size_t stride = 4 * ldc, last_stride = ragged ? sizeof(c_copy[0]) : stride;
  if (add) {
    if constexpr (R > 1) _tile_loadd(0, c, stride);
    if constexpr (R > 1 && C > 1) _tile_loadd(1, c + kAmxTile, stride);
    _tile_loadd(2, last, last_stride);
    if constexpr (C > 1) _tile_loadd(3, last + kAmxTile, last_stride);
  } else {
    if constexpr (R > 1) _tile_zero(0);
    if constexpr (R > 1 && C > 1) _tile_zero(1);
    _tile_zero(2);
    if constexpr (C > 1) _tile_zero(3);
  }
  for (size_t p = 0; p < pairs; p += kAmxTile) {
    const auto left = [&](size_t row) {
      const char* const from = static_cast<const char*>(a.data) + row * a.stride + 4 * p;
      return WholeTile({from, a.stride}, m - row, pairs - p, a_copy);
    };
    const auto right = [&](size_t column) {
      const char* const from = static_cast<const char*>(b.data) + p * b.stride + 4 * column;
      return WholeTile({from, b.stride}, pairs - p, kAmxTile, b_copy);
    };
    const AmxPlace b0 = right(0);
    _tile_loadd(6, b0.data, b0.stride);
    if constexpr (C > 1) {
      const AmxPlace b1 = right(kAmxTile);
      _tile_loadd(7, b1.data, b1.stride);
    }
    if constexpr (R > 1) {
      const AmxPlace a0 = left(0);
      _tile_loadd(4, a0.data, a0.stride);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (C > 1) _tile_dpbf16ps(1, 4, 7);
    }
    const AmxPlace a1 = left(whole);
    _tile_loadd(5, a1.data, a1.stride);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (C > 1) _tile_dpbf16ps(3, 5, 7);
  }
  if constexpr (R > 1) _tile_stored(0, c, stride);
  if constexpr (R > 1 && C > 1) _tile_stored(1, c + kAmxTile, stride);
  _tile_stored(2, last, last_stride);
  if constexpr (C > 1) _tile_stored(3, last + kAmxTile, last_stride);
  if (ragged)
    for (size_t i = 0; i < rest; ++i) std::memcpy(c + (whole + i) * ldc, c_copy[i], sizeof(c_copy[0]));
}

/// C = A B, or C += A B where `add`. C: [m, n], n a multiple of 16; pair p of A's row i at a[i * row + p * column], B:
/// [pairs][n][2], ldb numbers from pair to pair.
inline void AmxProduct(size_t m, size_t n, size_t pairs, const BFloat16* a, size_t row, size_t column,
                       const BFloat16* b, size_t ldb, float* c, size_t ldc, bool add) {
  alignas(64) uint32_t packed[2 * kAmxTile][kAmxDepth];
  const bool lies_whole = column == 2;
  const size_t depth = lies_whole ? pairs : kAmxDepth;
  for (size_t i = 0; i < m; i += 2 * kAmxTile)
    for (size_t p = 0; p < pairs; p += depth) {
      const size_t rows = std::min(m - i, 2 * kAmxTile), some = std::min(pairs - p, depth);
      const BFloat16* const from = a + i * row + p * column;
      AmxPlace left{from, 2 * row};
      if (!lies_whole) {
        Transpose(reinterpret_cast<const uint32_t*>(from), column / 2, some, rows, packed[0], kAmxDepth);
        left = {packed, sizeof(packed[0])};
      }
      for (size_t j = 0; j < n; j += 2 * kAmxTile) {
        const AmxPlace right{b + p * ldb + 2 * j, 2 * ldb};
        float* const to = c + i * ldc + j;
        const bool two_rows = rows > kAmxTile, two_columns = n - j > kAmxTile, sum = add || p > 0;
        if (two_rows)
          two_columns ? AmxBlock<2, 2>(rows, some, left, right, to, ldc, sum)
                      : AmxBlock<2, 1>(rows, some, left, right, to, ldc, sum);
        else
          two_columns ? AmxBlock<1, 2>(rows, some, left, right, to, ldc, sum)
                      : AmxBlock<1, 1>(rows, some, left, right, to, ldc, sum);
      }
    }
}

#else

struct AmxTiles {
  AmxTiles() {}  // not trivial: nobody warns of an unused one
};

#endif

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
