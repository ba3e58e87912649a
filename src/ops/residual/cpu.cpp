// The residual addition on the CPU. This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/cpu/targets.h"
#include "ops/cpu/parallel.h"
#include "ops/residual/residual.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/residual/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/cpu/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

template <class T>
void AddAs(const T* a, const T* b, int64_t n, T* sum) {
  for (int64_t i = 0; i < n; i += Lanes()) StoreUpTo(hn::Add(LoadUpTo(a + i, n - i), LoadUpTo(b + i, n - i)), sum + i, n - i);
}

/// Elements begin .. end of sum = a + b.
void Add(at::ScalarType type, const void* a, const void* b, int64_t begin, int64_t end, void* sum) {
  const auto as = [&]<class T>(T*) {
    AddAs(static_cast<const T*>(a) + begin, static_cast<const T*>(b) + begin, end - begin, static_cast<T*>(sum) + begin);
  };
  type == at::kFloat ? as(static_cast<float*>(sum)) : as(static_cast<BFloat16*>(sum));
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Add);

constexpr int64_t kGrain = 16384;  // elements

Tensor forward(const Tensor& residual_P, const Tensor& x_P) {
  TORCH_CHECK(residual_P.scalar_type() == x_P.scalar_type(), "add_residual: residual and x must have one type");
  const Tensor r = residual_P.contiguous(), x = x_P.contiguous(), sum = at::empty_like(x);
  const int64_t added = std::min(r.numel(), x.numel()), left = x.numel() - added;
  TORCH_CHECK(r.numel() <= x.numel() && r.sizes().slice(1) == x.sizes().slice(1), "add_residual: a residual ", r.sizes(),
              " does not fit ", x.sizes());
  const auto run = HWY_DYNAMIC_DISPATCH(Add);
  const auto type = x.scalar_type();
  const void *const a = r.const_data_ptr(), *const b = x.const_data_ptr();
  void* const out = sum.data_ptr();
  cpu::parallel({r, x, sum}, added, kGrain, [=](int64_t begin, int64_t end) { run(type, a, b, begin, end, out); });
  if (left == 0) return sum;
  const size_t element = x.element_size();
  cpu::parallel({x, sum}, left, kGrain, [=](int64_t begin, int64_t end) {
    const size_t first = static_cast<size_t>(added + begin) * element;
    std::memcpy(static_cast<char*>(out) + first, static_cast<const char*>(b) + first, static_cast<size_t>(end - begin) * element);
  });
  return sum;
}

}  // namespace

const ResidualKernels residual_cpu{forward};

}  // namespace ingrain::ops
#endif
