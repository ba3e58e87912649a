// The rows of linear-cross-entropy on the CPU. This file is compiled once per instruction set.
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/graph/parallel.h"
#include "ops/linear_cross_entropy/call.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/linear_cross_entropy/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// The sum of exp(z - max), and of exp(z - max) dz.
struct Softmax {
  float max = -std::numeric_limits<float>::infinity();
  double sum = 0, sum_dz = 0;
};

/// Reads the row from memory once: a block's maximum and its sums are taken while it is in the first-level cache.
/// `all`: of what was read before; in pieces of whole blocks, the result is the same.
template <class T>
Softmax SoftmaxOf(const T* z, const T* dz, size_t n, Softmax all = {}) {
  constexpr size_t kBlock = kCrossEntropyBlock;
  for (size_t first = 0; first < n; first += kBlock) {
    const size_t size = HWY_MIN(kBlock, n - first), whole = size - size % Lanes();
    const T* const block = z + first;
    V max = Set(all.max);
    for (size_t i = 0; i < whole; i += Lanes()) max = hn::Max(max, Load(block + i));
    float m = Max(max);
    for (size_t i = whole; i < size; ++i) m = HWY_MAX(m, static_cast<float>(block[i]));
    if (m > all.max) {
      const double shrink = std::exp(static_cast<double>(all.max) - m);
      all = {m, all.sum * shrink, all.sum_dz * shrink};
    }
    V sum = Zero(), sum_dz = Zero();
    for (size_t i = 0; i < size; i += Lanes()) {
      const size_t left = size - i;
      V e = Exp(hn::Sub(LoadUpTo(block + i, left), Set(all.max)));
      if (HWY_UNLIKELY(left < Lanes())) e = hn::IfThenElseZero(hn::FirstN(D(), left), e);
      sum = hn::Add(sum, e);
      if (dz) sum_dz = hn::MulAdd(e, LoadUpTo(dz + first + i, left), sum_dz);
    }
    all.sum += Sum(sum);
    all.sum_dz += Sum(sum_dz);
  }
  return all;
}

/// cot(z) = a (p - y) - c p (dz - mean), cot(dz) = -c (p - y), in place; mean = <p, dz>.
template <class T>
void WriteCotangents(T* z, T* dz, size_t n, size_t target, const Softmax& s, float mean, float a, float c) {
  const V max = Set(s.max), inverse = Set(static_cast<float>(1 / s.sum));
  const V of_p = Set(a + c * mean), of_pdz = Set(-c);
  const float p_y = std::exp(static_cast<float>(z[target]) - s.max) / static_cast<float>(s.sum);
  const float z_y = a * (p_y - 1) - (dz ? c * p_y * (static_cast<float>(dz[target]) - mean) : 0.0f);
  for (size_t i = 0; i < n; i += Lanes()) {
    const size_t left = n - i;
    const V p = hn::Mul(Exp(hn::Sub(LoadUpTo(z + i, left), max)), inverse);
    if (!dz) {
      StoreUpTo(hn::Mul(p, of_p), z + i, left);
      continue;
    }
    StoreUpTo(hn::Mul(p, hn::MulAdd(of_pdz, LoadUpTo(dz + i, left), of_p)), z + i, left);
    StoreUpTo(hn::Mul(p, of_pdz), dz + i, left);
  }
  z[target] = static_cast<T>(z_y);
  if (dz) dz[target] = static_cast<T>(-c * (p_y - 1));
}

template <class T>
void RowsAs(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  const int64_t n = call.vocabulary;
  for (int64_t i = begin; i < end; ++i) {
    T* const z = static_cast<T*>(call.z) + i * n;
    T* const dz = call.planes == 2 ? z + call.rows * n : nullptr;
    const int64_t y = call.target[i];
    const Softmax s = SoftmaxOf(z, dz, n);
    const float mean = static_cast<float>(s.sum_dz / s.sum);
    call.nll[i] = static_cast<float>(std::log(s.sum) + s.max - static_cast<double>(z[y]));
    if (dz) call.tangent_nll[i] = mean - static_cast<float>(dz[y]);
    if (!call.want_gradient) continue;
    const float a = call.a[i], c = dz ? call.c[i] : 0.0f;
    if (a == 0 && c == 0) {  // a masked token
      std::fill(z, z + n, T(0));
      if (dz) std::fill(dz, dz + n, T(0));
    } else {
      WriteCotangents(z, dz, n, y, s, dz ? mean : 0.0f, a, c);
    }
  }
}

void CrossEntropyRows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? RowsAs<float>(call, begin, end) : RowsAs<BFloat16>(call, begin, end);
}

template <class T>
void PieceAs(const CrossEntropyPieceCall& call, int64_t begin, int64_t end) {
  const auto n = static_cast<size_t>(call.width);
  for (int64_t i = begin; i < end; ++i) {
    T* const z = static_cast<T*>(call.z) + i * call.width;
    const int64_t y = call.target[i] - call.first;
    if (y >= 0 && y < call.width) call.z_y[i] = static_cast<float>(z[y]);
    const Softmax s = SoftmaxOf<T>(z, nullptr, n, {call.max[i], call.sum[i]});
    call.shrink[i] = s.max > call.max[i] ? std::exp(call.max[i] - s.max) : 1.0f;
    call.max[i] = s.max, call.sum[i] = s.sum;
    if (!call.want_gradient) continue;
    const V max = Set(s.max);
    for (size_t p = 0; p < n; p += Lanes()) StoreUpTo(Exp(hn::Sub(LoadUpTo(z + p, n - p), max)), z + p, n - p);
  }
}

void CrossEntropyPiece(const CrossEntropyPieceCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? PieceAs<float>(call, begin, end) : PieceAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(CrossEntropyPiece);

void rows(Tensor& z_PNV, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N, bool want_gradient,
          Tensor& nll_N, Tensor& tangent_nll_N) {
  const int64_t P = planes(z_PNV), N = z_PNV.size(1), V = z_PNV.size(2);
  const Tensor target = target_N.contiguous(), a = a_N.contiguous(), c = P == 2 ? c_N.contiguous() : Tensor();
  TORCH_CHECK(z_PNV.is_contiguous() && nll_N.is_contiguous(), "cross-entropy rows are written in place");
  const CrossEntropyCall call{number(z_PNV),
                              P,
                              N,
                              V,
                              z_PNV.data_ptr(),
                              target.const_data_ptr<int64_t>(),
                              a.const_data_ptr<float>(),
                              P == 2 ? c.const_data_ptr<float>() : nullptr,
                              want_gradient,
                              nll_N.data_ptr<float>(),
                              P == 2 ? tangent_nll_N.data_ptr<float>() : nullptr};
  const auto run = HWY_DYNAMIC_DISPATCH(CrossEntropyRows);
  cpu::parallel_uncaptured(N, cpu::grain(P * V), [&](int64_t begin, int64_t end) { run(call, begin, end); });
}

Tensor piece(Tensor& z_Nv, int64_t first, const Tensor& target_N, bool want_gradient, SoftmaxSoFar& softmax) {
  const int64_t N = z_Nv.size(0), v = z_Nv.size(1);
  const Tensor target = target_N.contiguous(), shrink_N = at::empty_like(softmax.max_N);
  TORCH_CHECK(z_Nv.is_contiguous(), "cross-entropy rows are written in place");
  // Of their own: who has a copy of this value goes on by itself.
  softmax = {softmax.max_N.clone(), softmax.sum_N.clone(), softmax.z_y_N.clone()};
  const CrossEntropyPieceCall call{number(z_Nv),
                                   N,
                                   first,
                                   v,
                                   z_Nv.data_ptr(),
                                   target.const_data_ptr<int64_t>(),
                                   want_gradient,
                                   softmax.max_N.data_ptr<float>(),
                                   softmax.z_y_N.data_ptr<float>(),
                                   softmax.sum_N.data_ptr<double>(),
                                   shrink_N.data_ptr<float>()};
  const auto run = HWY_DYNAMIC_DISPATCH(CrossEntropyPiece);
  cpu::parallel_uncaptured(N, cpu::grain(v), [&](int64_t begin, int64_t end) { run(call, begin, end); });
  return shrink_N;
}

}  // namespace

const CrossEntropyKernels cross_entropy_cpu{rows, piece};

}  // namespace ingrain::ops
#endif
