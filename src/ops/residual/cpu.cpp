// The residual addition on the CPU. This file is compiled once per instruction set (hwy/foreach_target.h includes it
// again).
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
#include "ops/residual/residual.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/residual/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

template <class T>
void AddAs(const T* a, const T* b, float scale, int64_t n, T* sum) {
  for (int64_t i = 0; i < n; i += Lanes())
    StoreUpTo(hn::MulAdd(LoadUpTo(b + i, n - i), Set(scale), LoadUpTo(a + i, n - i)), sum + i, n - i);
}

/// Elements begin .. end of sum = a + scale b.
void Add(at::ScalarType type, const void* a, const void* b, float scale, int64_t begin, int64_t end, void* sum) {
  const auto as = [&]<class T>(T*) {
    AddAs(static_cast<const T*>(a) + begin, static_cast<const T*>(b) + begin, scale, end - begin,
          static_cast<T*>(sum) + begin);
  };
  type == at::kFloat ? as(static_cast<float*>(sum)) : as(static_cast<BFloat16*>(sum));
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Add);

Tensor forward(const Tensor& residual_P, const Tensor& x_P, double scale) {
  if (planes(residual_P) != planes(x_P)) return residual_reference.forward(residual_P, x_P, scale);
  const Tensor r = residual_P.contiguous(), x = x_P.contiguous(), sum = at::empty_like(x);
  const auto run = HWY_DYNAMIC_DISPATCH(Add);
  cpu::parallel(
      {r, x, sum}, x.numel(), cpu::grain(1),
      [run, type = x.scalar_type(), a = r.const_data_ptr(), b = x.const_data_ptr(), s = static_cast<float>(scale),
       out = sum.data_ptr()](int64_t begin, int64_t end) { run(type, a, b, s, begin, end, out); });
  return sum;
}

}  // namespace

const ResidualKernels residual_cpu{forward};

}  // namespace ingrain::ops
#endif
