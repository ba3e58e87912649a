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

/// f, f' and f" at a (call.h).
struct Silu {
  V a, s, rest;
  explicit HWY_INLINE Silu(V at) : a(at), s(Sigmoid(at)), rest(hn::Sub(Set(1), s)) {}
  HWY_INLINE V f() const { return hn::Mul(a, s); }
  HWY_INLINE V d1() const { return hn::Mul(s, hn::MulAdd(a, rest, Set(1))); }
  HWY_INLINE V d2() const { return hn::Mul(hn::Mul(s, rest), hn::MulAdd(a, hn::Sub(rest, s), Set(2))); }
};
struct GeluTanh {
  static constexpr float kScale = static_cast<float>(kGeluScale), kCube = static_cast<float>(kGeluCube);
  V a, s, rest, g1;
  explicit HWY_INLINE GeluTanh(V at) : a(at) {
    const V square = hn::Mul(a, a);
    s = Sigmoid(hn::Mul(hn::Mul(Set(kScale), a), hn::MulAdd(Set(kCube), square, Set(1))));
    rest = hn::Mul(s, hn::Sub(Set(1), s));
    g1 = hn::MulAdd(Set(3 * kScale * kCube), square, Set(kScale));
  }
  HWY_INLINE V f() const { return hn::Mul(a, s); }
  HWY_INLINE V d1() const { return hn::MulAdd(hn::Mul(a, rest), g1, s); }
  HWY_INLINE V d2() const {
    const V bend = hn::MulAdd(hn::Mul(hn::NegMulAdd(Set(2), s, Set(1)), g1), g1, hn::Mul(Set(6 * kScale * kCube), a));
    return hn::Mul(rest, hn::MulAdd(a, bend, hn::Add(g1, g1)));
  }
};

/// u = f(a) b;  du = f' da b + f db.
template <class Activated, class T>
void ForwardRow(const T* a, const T* b, const T* da, const T* db, size_t n, T* u, T* du) {
  for (size_t i = 0; i < n; i += Lanes()) {
    const size_t left = n - i;
    const Activated at(LoadUpTo(a + i, left));
    const V bi = LoadUpTo(b + i, left), f = at.f();
    StoreUpTo(hn::Mul(Rounded<T>(f), bi), u + i, left);
    if (!da) continue;
    const V from_a = hn::Mul(hn::Mul(at.d1(), LoadUpTo(da + i, left)), bi);
    StoreUpTo(hn::MulAdd(f, LoadUpTo(db + i, left), from_a), du + i, left);
  }
}

/// ga = gu f' b + gdu (f" da b + f' db), gb = gu f + gdu f' da, gda = gdu f' b, gdb = gdu f.
/// The tangents' pointers are null where P = 1.
template <class Activated, class T>
void BackwardRow(const T* gu, const T* gdu, const T* a, const T* b, const T* da, const T* db, size_t n, T* ga, T* gb,
                 T* gda, T* gdb) {
  for (size_t i = 0; i < n; i += Lanes()) {
    const size_t left = n - i;
    const Activated at(LoadUpTo(a + i, left));
    const V bi = LoadUpTo(b + i, left), g = LoadUpTo(gu + i, left), f = at.f(), d1 = at.d1();
    V to_a = hn::Mul(hn::Mul(g, d1), bi), to_b = hn::Mul(g, f);
    if (da) {
      const V dai = LoadUpTo(da + i, left), dbi = LoadUpTo(db + i, left), gd = LoadUpTo(gdu + i, left);
      to_a = hn::MulAdd(gd, hn::MulAdd(hn::Mul(at.d2(), dai), bi, hn::Mul(d1, dbi)), to_a);
      to_b = hn::MulAdd(gd, hn::Mul(d1, dai), to_b);
      StoreUpTo(hn::Mul(hn::Mul(gd, d1), bi), gda + i, left);
      StoreUpTo(hn::Mul(gd, f), gdb + i, left);
    }
    StoreUpTo(to_a, ga + i, left);
    StoreUpTo(to_b, gb + i, left);
  }
}

template <class Activated, class T>
void ForwardAs(const SwigluCall& call, int64_t begin, int64_t end) {
  const int64_t F = call.width, ab_plane = call.rows * 2 * F, u_plane = call.rows * F;
  for (int64_t i = begin; i < end; ++i) {
    const T* a = static_cast<const T*>(call.ab) + i * 2 * F;
    const T* da = call.planes == 2 ? a + ab_plane : nullptr;
    T* u = static_cast<T*>(call.out) + i * F;
    ForwardRow<Activated>(a, a + F, da, da ? da + F : nullptr, F, u, u + u_plane);
  }
}

template <class Activated, class T>
void BackwardAs(const SwigluCall& call, int64_t begin, int64_t end) {
  const int64_t F = call.width, ab_plane = call.rows * 2 * F, u_plane = call.rows * F;
  for (int64_t i = begin; i < end; ++i) {
    const T* a = static_cast<const T*>(call.ab) + i * 2 * F;
    const T* da = call.planes == 2 ? a + ab_plane : nullptr;
    const T* gu = static_cast<const T*>(call.gu) + i * F;
    T* ga = static_cast<T*>(call.out) + i * 2 * F;
    T* gda = ga + (call.planes == 2 ? ab_plane : 0);
    BackwardRow<Activated>(gu, gu + (call.planes == 2 ? u_plane : 0), a, a + F, da, da ? da + F : nullptr, F, ga,
                           ga + F, gda, gda + F);
  }
}

template <class Activated>
void ForwardBy(const SwigluCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? ForwardAs<Activated, float>(call, begin, end)
                            : ForwardAs<Activated, BFloat16>(call, begin, end);
}
template <class Activated>
void BackwardBy(const SwigluCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? BackwardAs<Activated, float>(call, begin, end)
                            : BackwardAs<Activated, BFloat16>(call, begin, end);
}

void SwigluForward(const SwigluCall& call, int64_t begin, int64_t end) {
  call.gate == Gate::silu ? ForwardBy<Silu>(call, begin, end) : ForwardBy<GeluTanh>(call, begin, end);
}
void SwigluBackward(const SwigluCall& call, int64_t begin, int64_t end) {
  call.gate == Gate::silu ? BackwardBy<Silu>(call, begin, end) : BackwardBy<GeluTanh>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(SwigluForward);
HWY_EXPORT(SwigluBackward);

SwigluCall call_on(const Tensor& ab, const Tensor& out, Gate gate) {
  const int64_t F = ab.size(-1) / 2, P = planes(ab);
  return {number(ab), gate, P, F == 0 ? 0 : ab.numel() / (P * 2 * F), F, ab.const_data_ptr(), nullptr, out.data_ptr()};
}

Tensor forward(const Tensor& ab_in, Gate gate) {
  const Tensor ab = ab_in.contiguous();
  auto sizes = ab.sizes().vec();
  sizes.back() /= 2;
  const Tensor u = at::empty(sizes, ab.options());
  const SwigluCall call = call_on(ab, u, gate);
  const auto run = HWY_DYNAMIC_DISPATCH(SwigluForward);
  cpu::parallel({ab, u}, call.rows, cpu::grain(2 * call.planes * call.width),
                [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
  return u;
}

Tensor backward(const Tensor& gu_in, const Tensor& ab_in, Gate gate) {
  const Tensor ab = ab_in.contiguous(), gu = gu_in.contiguous(), gab = at::empty_like(ab);
  SwigluCall call = call_on(ab, gab, gate);
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
