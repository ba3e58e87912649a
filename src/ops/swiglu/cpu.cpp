// The gate of SwiGLU on the CPU. This file is compiled once per instruction set.
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/graph/parallel.h"
#include "ops/swiglu/call.h"
#include "ops/swiglu/swiglu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/swiglu/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// u = f(a) b with f = silu, f' = s (1 + a (1 - s)), s = sigmoid(a);  du = f' da b + f db.
template <class T>
void ForwardRow(const T* a, const T* b, const T* da, const T* db, size_t n, T* u, T* du) {
  const V one = Set(1);
  for (size_t i = 0; i < n; i += Lanes()) {
    const size_t left = n - i;
    const V ai = LoadUpTo(a + i, left), bi = LoadUpTo(b + i, left), s = Sigmoid(ai), f = hn::Mul(ai, s);
    StoreUpTo(hn::Mul(Rounded<T>(f), bi), u + i, left);
    if (!da) continue;
    const V d1 = hn::Mul(s, hn::MulAdd(ai, hn::Sub(one, s), one));
    const V from_a = hn::Mul(hn::Mul(d1, LoadUpTo(da + i, left)), bi);
    StoreUpTo(hn::MulAdd(f, LoadUpTo(db + i, left), from_a), du + i, left);
  }
}

/// ga = gu f' b + gdu (f" da b + f' db), gb = gu f + gdu f' da, gda = gdu f' b, gdb = gdu f;
/// f" = s (1 - s) (2 + a (1 - 2 s)). The tangents' pointers are null where P = 1.
template <class T>
void BackwardRow(const T* gu, const T* gdu, const T* a, const T* b, const T* da, const T* db, size_t n, T* ga, T* gb,
                 T* gda, T* gdb) {
  const V one = Set(1), two = Set(2);
  for (size_t i = 0; i < n; i += Lanes()) {
    const size_t left = n - i;
    const V ai = LoadUpTo(a + i, left), bi = LoadUpTo(b + i, left), g = LoadUpTo(gu + i, left);
    const V s = Sigmoid(ai), rest = hn::Sub(one, s), f = hn::Mul(ai, s), d1 = hn::Mul(s, hn::MulAdd(ai, rest, one));
    V to_a = hn::Mul(hn::Mul(g, d1), bi), to_b = hn::Mul(g, f);
    if (da) {
      const V dai = LoadUpTo(da + i, left), dbi = LoadUpTo(db + i, left), gd = LoadUpTo(gdu + i, left);
      const V d2 = hn::Mul(hn::Mul(s, rest), hn::MulAdd(ai, hn::Sub(rest, s), two));
      to_a = hn::MulAdd(gd, hn::MulAdd(hn::Mul(d2, dai), bi, hn::Mul(d1, dbi)), to_a);
      to_b = hn::MulAdd(gd, hn::Mul(d1, dai), to_b);
      StoreUpTo(hn::Mul(hn::Mul(gd, d1), bi), gda + i, left);
      StoreUpTo(hn::Mul(gd, f), gdb + i, left);
    }
    StoreUpTo(to_a, ga + i, left);
    StoreUpTo(to_b, gb + i, left);
  }
}

template <class T>
void ForwardAs(const SwigluCall& call, int64_t begin, int64_t end) {
  const int64_t F = call.width, ab_plane = call.rows * 2 * F, u_plane = call.rows * F;
  for (int64_t i = begin; i < end; ++i) {
    const T* a = static_cast<const T*>(call.ab) + i * 2 * F;
    const T* da = call.planes == 2 ? a + ab_plane : nullptr;
    T* u = static_cast<T*>(call.out) + i * F;
    ForwardRow(a, a + F, da, da ? da + F : nullptr, F, u, u + u_plane);
  }
}

template <class T>
void BackwardAs(const SwigluCall& call, int64_t begin, int64_t end) {
  const int64_t F = call.width, ab_plane = call.rows * 2 * F, u_plane = call.rows * F;
  for (int64_t i = begin; i < end; ++i) {
    const T* a = static_cast<const T*>(call.ab) + i * 2 * F;
    const T* da = call.planes == 2 ? a + ab_plane : nullptr;
    const T* gu = static_cast<const T*>(call.gu) + i * F;
    T* ga = static_cast<T*>(call.out) + i * 2 * F;
    T* gda = ga + (call.planes == 2 ? ab_plane : 0);
    BackwardRow(gu, gu + (call.planes == 2 ? u_plane : 0), a, a + F, da, da ? da + F : nullptr, F, ga, ga + F, gda,
                gda + F);
  }
}

void SwigluForward(const SwigluCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? ForwardAs<float>(call, begin, end) : ForwardAs<BFloat16>(call, begin, end);
}
void SwigluBackward(const SwigluCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? BackwardAs<float>(call, begin, end) : BackwardAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(SwigluForward);
HWY_EXPORT(SwigluBackward);

SwigluCall call_on(const Tensor& ab, const Tensor& out) {
  const int64_t F = ab.size(-1) / 2, P = planes(ab);
  return {number(ab), P, F == 0 ? 0 : ab.numel() / (P * 2 * F), F, ab.const_data_ptr(), nullptr, out.data_ptr()};
}

Tensor forward(const Tensor& ab_in) {
  const Tensor ab = ab_in.contiguous();
  auto sizes = ab.sizes().vec();
  sizes.back() /= 2;
  const Tensor u = at::empty(sizes, ab.options());
  const SwigluCall call = call_on(ab, u);
  const auto run = HWY_DYNAMIC_DISPATCH(SwigluForward);
  cpu::parallel({ab, u}, call.rows, cpu::grain(2 * call.planes * call.width),
                [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
  return u;
}

Tensor backward(const Tensor& gu_in, const Tensor& ab_in) {
  const Tensor ab = ab_in.contiguous(), gu = gu_in.contiguous(), gab = at::empty_like(ab);
  SwigluCall call = call_on(ab, gab);
  call.gu = gu.const_data_ptr();
  const auto run = HWY_DYNAMIC_DISPATCH(SwigluBackward);
  cpu::parallel_uncaptured(call.rows, cpu::grain(2 * call.planes * call.width),
                           [&](int64_t begin, int64_t end) { run(call, begin, end); });
  return gab;
}

}  // namespace

const SwigluKernels swiglu_cpu{forward, backward};

}  // namespace ingrain::ops
#endif
