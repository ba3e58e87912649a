// RMSNorm of one row, value and tangent together: the formulas of rms_norm/reference.cpp, reading each operand from
// main memory once. Also the per-head norm of heads/. Per instruction set.
#if defined(INGRAIN_OPS_RMS_NORM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_RMS_NORM_ROWS_INL_H_
#undef INGRAIN_OPS_RMS_NORM_ROWS_INL_H_
#else
#define INGRAIN_OPS_RMS_NORM_ROWS_INL_H_
#endif

#include "ops/simd/vec-inl.h"

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A row and its tangent; `tangent` is null where the plane is missing.
template <class T>
struct Row {
  T* value = nullptr;
  T* tangent = nullptr;
};

/// y = residual + w x r, r = 1 / rms(x); its tangent w r (dx - x r^2 <x, dx>/n).
template <class X, class Y>
void NormRow(Row<const X> x, Row<const X> residual, const float* w, size_t n, float eps, Row<Y> y) {
  const size_t L = Lanes();
  V xx = Zero(), xdx = Zero();
  for (size_t i = 0; i < n; i += L) {
    const V xi = LoadUpTo(x.value + i, n - i);
    xx = hn::MulAdd(xi, xi, xx);
    if (x.tangent) xdx = hn::MulAdd(xi, LoadUpTo(x.tangent + i, n - i), xdx);
  }
  const float r = 1 / std::sqrt(Sum(xx) / n + eps);
  const V rv = Set(r), shift = Set(-r * r * Sum(xdx) / n);
  for (size_t i = 0; i < n; i += L) {
    const size_t left = n - i;
    const V xi = LoadUpTo(x.value + i, left), wr = hn::Mul(LoadUpTo(w + i, left), rv);
    V yi = hn::Mul(xi, wr);
    if (residual.value) yi = hn::Add(Rounded<Y>(yi), LoadUpTo(residual.value + i, left));
    StoreUpTo(yi, y.value + i, left);
    if (!x.tangent) continue;
    V dyi = hn::Mul(hn::MulAdd(xi, shift, LoadUpTo(x.tangent + i, left)), wr);
    if (residual.tangent) dyi = hn::Add(dyi, LoadUpTo(residual.tangent + i, left));
    StoreUpTo(dyi, y.tangent + i, left);
  }
}

/// With a = gy w, c = gdy w and means m(.) over the row:
///   gx  = r a - x (r^3 m(xa) - 3 r^5 m(x dx) m(xc) + r^3 m(c dx)) - r^3 m(x dx) c - r^3 m(xc) dx
///   gdx = r c - x r^3 m(xc);    gw += gy x r + gdy r (dx - x r^2 m(x dx))   (gw null: not wanted)
template <class G, class X, class O>
void NormRowBackward(Row<const G> gy, Row<const X> x, const float* w, size_t n, float eps, Row<O> gx, float* gw) {
  const size_t L = Lanes();
  V xx = Zero(), xa = Zero(), xdx = Zero(), xc = Zero(), cdx = Zero();
  for (size_t i = 0; i < n; i += L) {
    const size_t left = n - i;
    const V xi = LoadUpTo(x.value + i, left), wi = LoadUpTo(w + i, left);
    xx = hn::MulAdd(xi, xi, xx);
    xa = hn::MulAdd(xi, hn::Mul(wi, LoadUpTo(gy.value + i, left)), xa);
    if (!x.tangent) continue;
    const V dxi = LoadUpTo(x.tangent + i, left), ci = hn::Mul(wi, LoadUpTo(gy.tangent + i, left));
    xdx = hn::MulAdd(xi, dxi, xdx);
    xc = hn::MulAdd(xi, ci, xc);
    cdx = hn::MulAdd(ci, dxi, cdx);
  }
  const float r = 1 / std::sqrt(Sum(xx) / n + eps), r3 = r * r * r;
  const float m_xdx = Sum(xdx) / n, m_xc = Sum(xc) / n;
  const V rv = Set(r), of_x = Set(-r3 * (Sum(xa) / n + Sum(cdx) / n - 3 * r * r * m_xdx * m_xc));
  const V of_c = Set(-r3 * m_xdx), of_dx = Set(-r3 * m_xc), shift = Set(-r * r * m_xdx);
  for (size_t i = 0; i < n; i += L) {
    const size_t left = n - i;
    const V xi = LoadUpTo(x.value + i, left), wi = LoadUpTo(w + i, left), gi = LoadUpTo(gy.value + i, left);
    V out = hn::MulAdd(xi, of_x, hn::Mul(hn::Mul(gi, wi), rv)), to_w = hn::Mul(gi, xi);
    if (x.tangent) {
      const V dxi = LoadUpTo(x.tangent + i, left), gdi = LoadUpTo(gy.tangent + i, left), ci = hn::Mul(gdi, wi);
      out = hn::MulAdd(ci, of_c, hn::MulAdd(dxi, of_dx, out));
      StoreUpTo(hn::MulAdd(ci, rv, hn::Mul(xi, of_dx)), gx.tangent + i, left);
      to_w = hn::MulAdd(gdi, hn::MulAdd(xi, shift, dxi), to_w);
    }
    StoreUpTo(out, gx.value + i, left);
    if (gw) StoreUpTo(hn::MulAdd(to_w, rv, LoadUpTo(gw + i, left)), gw + i, left);
  }
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
