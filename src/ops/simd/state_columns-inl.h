// Recurrent states, some columns at a time. Per instruction set.
#if defined(INGRAIN_OPS_SIMD_STATE_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_SIMD_STATE_COLUMNS_INL_H_
#undef INGRAIN_OPS_SIMD_STATE_COLUMNS_INL_H_
#else
#define INGRAIN_OPS_SIMD_STATE_COLUMNS_INL_H_
#endif

#include "ops/simd/state_columns.h"
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// run(sequence, head, first, n) for each vector of columns, of which `n` exist from `first` on. Tasks begin .. end:
/// kStateColumns columns of a head each, all heads of a sequence after each other.
template <class Run>
HWY_INLINE void ForStateColumns(int64_t heads, int64_t columns, int64_t begin, int64_t end, const Run& run) {
  const int64_t of_head = state_tasks(columns);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t sequence = task / of_head / heads, head = task / of_head % heads;
    const int64_t from = task % of_head * kStateColumns, to = HWY_MIN(from + kStateColumns, columns);
    for (int64_t first = from; first < to; first += Lanes())
      run(sequence, head, first, HWY_MIN(Lanes(), static_cast<size_t>(to - first)));
  }
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
