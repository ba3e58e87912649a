// The transpose of a matrix of 32 bits (an fp32, or a pair of bf16). Per instruction set.
#if defined(INGRAIN_OPS_CPU_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_CPU_TRANSPOSE_INL_H_
#undef INGRAIN_OPS_CPU_TRANSPOSE_INL_H_
#else
#define INGRAIN_OPS_CPU_TRANSPOSE_INL_H_
#endif

#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// to[i * to_stride + j] = from[j * from_stride + i] for j < rows, i < columns.
inline void Transpose(const uint32_t* from, size_t from_stride, size_t rows, size_t columns, uint32_t* to,
                      size_t to_stride) {
  const auto one_by_one = [&](size_t first_row, size_t end_row, size_t first_column) {
    for (size_t j = first_row; j < end_row; ++j)
      for (size_t i = first_column; i < columns; ++i) to[i * to_stride + j] = from[j * from_stride + i];
  };
#if HWY_TARGET == HWY_SCALAR
  one_by_one(0, rows, 0);
#else
  const hn::Full128<uint32_t> d;
  const hn::Full128<uint64_t> d64;
  const size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (size_t j = 0; j < whole_rows; j += 4) {
    for (size_t i = 0; i < whole_columns; i += 4) {
      const auto row = [&](size_t r) { return hn::LoadU(d, from + (j + r) * from_stride + i); };
      const auto store = [&](size_t r, auto x) { hn::StoreU(hn::BitCast(d, x), d, to + (i + r) * to_stride + j); };
      const auto lower = [&](auto x, auto y) { return hn::BitCast(d64, hn::InterleaveLower(d, x, y)); };
      const auto upper = [&](auto x, auto y) { return hn::BitCast(d64, hn::InterleaveUpper(d, x, y)); };
      const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
      store(0, hn::InterleaveLower(d64, lower(r0, r1), lower(r2, r3)));
      store(1, hn::InterleaveUpper(d64, lower(r0, r1), lower(r2, r3)));
      store(2, hn::InterleaveLower(d64, upper(r0, r1), upper(r2, r3)));
      store(3, hn::InterleaveUpper(d64, upper(r0, r1), upper(r2, r3)));
    }
    one_by_one(j, j + 4, whole_columns);
  }
  one_by_one(whole_rows, rows, 0);
#endif
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
