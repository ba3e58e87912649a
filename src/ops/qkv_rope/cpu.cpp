// Splitting into heads, their norms and RoPE on the CPU. This file is compiled once per instruction set.
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/graph/parallel.h"
#include "ops/qkv_rope/call.h"
#include "ops/qkv_rope/qkv_rope.h"

#include <array>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/qkv_rope/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/rms_norm/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// One token's rotation, spelled out per element: out[i] = x[i] cos[i] + partner(x)[i] sin[i], where the partner is the
/// pair's other element and sin carries the sign.
class Rotation {
 public:
  explicit Rotation(const QkvRopeCall& call)
      : interleaved_(call.interleaved), n_(call.head_dim), cos_(n_), sin_(n_), twice_(2 * n_) {}

  /// direction: 1 rotates, -1 rotates back.
  void set_token(const QkvRopeCall& call, int64_t t, float direction) {
    const size_t half = n_ / 2;
    for (size_t r = 0; r < half; ++r) {
      const size_t i = interleaved_ ? 2 * r : r, j = interleaved_ ? i + 1 : i + half;
      cos_[i] = cos_[j] = call.cos[t * half + r];
      sin_[j] = direction * call.sin[t * half + r];
      sin_[i] = -sin_[j];
    }
  }

  template <class In, class Out>
  void apply(const In* in, Out* out) {
    for (size_t i = 0; i < n_; i += Lanes()) StoreUpTo(LoadUpTo(in + i, n_ - i), &twice_[i], n_ - i);
    if (!interleaved_) std::copy_n(twice_.begin(), n_, twice_.begin() + n_);
    for (size_t i = 0; i < n_; i += Lanes()) {
      const size_t left = n_ - i;
      const V same = hn::Mul(LoadUpTo(&twice_[i], left), LoadUpTo(&cos_[i], left));
      StoreUpTo(hn::MulAdd(partner(i, left), LoadUpTo(&sin_[i], left), same), out + i, left);
    }
  }

 private:
  HWY_INLINE V partner(size_t i, size_t left) const {
    if (!interleaved_) return LoadUpTo(&twice_[i + n_ / 2], left);
#if HWY_TARGET == HWY_SCALAR
    return Load(&twice_[i ^ 1]);
#else
    return hn::Reverse2(D(), LoadUpTo(&twice_[i], left));
#endif
  }

  bool interleaved_;
  size_t n_;
  std::vector<float> cos_, sin_, twice_;  // twice_: the row, where halves are paired two times
};

/// Where a head's rows lie: in the stacked projection, and in q, k or v.
struct Place {
  int64_t in_stack, in_part, stack_plane, part_plane;
};
Place PlaceOf(const QkvRopeCall& call, int64_t row, int64_t first, int64_t heads, int64_t head) {
  const int64_t d = call.head_dim, width = call.width();
  return {row * width + (first + head) * d, (row * heads + head) * d, call.rows * width, call.rows * heads * d};
}

template <class T>
Row<T> RowAt(T* base, int64_t offset, int64_t plane, int64_t planes) {
  return {base + offset, planes == 2 ? base + offset + plane : nullptr};
}

/// The three parts in the order of the stack.
struct Part {
  int64_t first, heads;
  const float* norm;
  bool rotated;
};
std::array<Part, 3> PartsOf(const QkvRopeCall& call) {
  return {Part{0, call.q_heads, call.q_norm, true}, Part{call.q_heads, call.kv_heads, call.k_norm, true},
          Part{call.q_heads + call.kv_heads, call.kv_heads, nullptr, false}};
}

template <class T>
void ForwardAs(const QkvRopeCall& call, int64_t begin, int64_t end) {
  const int64_t d = call.head_dim;
  const auto parts = PartsOf(call);
  Rotation rotation(call);
  std::vector<T> normed(2 * d);  // rounded before the rotation, as a separate norm would
  for (int64_t row = begin; row < end; ++row) {
    rotation.set_token(call, row % call.tokens, 1);
    for (size_t p = 0; p < parts.size(); ++p) {
      const Part& part = parts[p];
      for (int64_t h = 0; h < part.heads; ++h) {
        const Place at = PlaceOf(call, row, part.first, part.heads, h);
        const auto x = RowAt(static_cast<const T*>(call.qkv), at.in_stack, at.stack_plane, call.planes);
        const auto y = RowAt(static_cast<T*>(call.parts[p]), at.in_part, at.part_plane, call.planes);
        if (!part.rotated) {
          std::copy_n(x.value, d, y.value);
          if (x.tangent) std::copy_n(x.tangent, d, y.tangent);
        } else if (part.norm) {
          const Row<T> scratch{normed.data(), normed.data() + d};
          NormRow(x, Row<const T>{}, part.norm, d, call.eps, scratch);
          rotation.apply(scratch.value, y.value);
          if (x.tangent) rotation.apply(scratch.tangent, y.tangent);
        } else {
          rotation.apply(x.value, y.value);
          if (x.tangent) rotation.apply(x.tangent, y.tangent);
        }
      }
    }
  }
}

/// g_norms: [2, head_dim] sums for the norms of q and k, or null.
template <class T>
void BackwardAs(const QkvRopeCall& call, int64_t begin, int64_t end, float* g_norms) {
  const int64_t d = call.head_dim;
  const auto parts = PartsOf(call);
  Rotation rotation(call);
  std::vector<float> turned(2 * d);
  for (int64_t row = begin; row < end; ++row) {
    rotation.set_token(call, row % call.tokens, -1);
    for (size_t p = 0; p < parts.size(); ++p) {
      const Part& part = parts[p];
      for (int64_t h = 0; h < part.heads; ++h) {
        const Place at = PlaceOf(call, row, part.first, part.heads, h);
        const auto gx = RowAt(static_cast<T*>(call.gqkv), at.in_stack, at.stack_plane, call.planes);
        if (!call.parts[p]) {
          std::fill_n(gx.value, d, T(0));
          if (gx.tangent) std::fill_n(gx.tangent, d, T(0));
          continue;
        }
        const auto g = RowAt(static_cast<const T*>(call.parts[p]), at.in_part, at.part_plane, call.planes);
        if (!part.rotated) {
          std::copy_n(g.value, d, gx.value);
          if (g.tangent) std::copy_n(g.tangent, d, gx.tangent);
        } else if (part.norm) {
          const auto x = RowAt(static_cast<const T*>(call.qkv), at.in_stack, at.stack_plane, call.planes);
          rotation.apply(g.value, turned.data());
          if (g.tangent) rotation.apply(g.tangent, turned.data() + d);
          NormRowBackward(Row<const float>{turned.data(), turned.data() + d}, x, part.norm, d, call.eps, gx,
                          g_norms ? g_norms + p * d : nullptr);
        } else {
          rotation.apply(g.value, gx.value);
          if (g.tangent) rotation.apply(g.tangent, gx.tangent);
        }
      }
    }
  }
}

void HeadsForward(const QkvRopeCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? ForwardAs<float>(call, begin, end) : ForwardAs<BFloat16>(call, begin, end);
}
void HeadsBackward(const QkvRopeCall& call, int64_t begin, int64_t end, float* g_norms) {
  call.type == Number::fp32 ? BackwardAs<float>(call, begin, end, g_norms)
                            : BackwardAs<BFloat16>(call, begin, end, g_norms);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(HeadsForward);
HWY_EXPORT(HeadsBackward);

/// What a call points at, kept alive and contiguous.
struct Operands {
  Tensor qkv, q_norm, k_norm, cos, sin;

  Operands(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope)
      : qkv(qkv_PBTC.contiguous()),
        q_norm(contiguous(q_norm_d)),
        k_norm(contiguous(k_norm_d)),
        cos(contiguous(rope.cos_TR)),
        sin(contiguous(rope.sin_TR)) {}

  QkvRopeCall call(const RopeTable& rope, const HeadShape& shape, double eps) const {
    return {number(qkv),
            planes(qkv),
            qkv.size(1) * qkv.size(2),
            qkv.size(2),
            shape.q_heads,
            shape.kv_heads,
            shape.head_dim,
            floats(q_norm),
            floats(k_norm),
            floats(cos),
            floats(sin),
            rope.interleaved,
            static_cast<float>(eps),
            qkv.const_data_ptr()};
  }

 private:
  static Tensor contiguous(const Tensor& x) { return x.defined() ? x.contiguous() : x; }
  static const float* floats(const Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }
};

Heads forward(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
              const HeadShape& shape, double eps) {
  const Operands in(qkv_PBTC, q_norm_d, k_norm_d, rope);
  QkvRopeCall call = in.call(rope, shape, eps);
  const auto part = [&](int64_t heads) {
    return at::empty({call.planes, in.qkv.size(1), call.tokens, heads, shape.head_dim}, in.qkv.options());
  };
  const Heads out{part(shape.q_heads), part(shape.kv_heads), part(shape.kv_heads)};
  call.parts[0] = out.q_PBTHd.data_ptr();
  call.parts[1] = out.k_PBTGd.data_ptr();
  call.parts[2] = out.v_PBTGd.data_ptr();
  const auto run = HWY_DYNAMIC_DISPATCH(HeadsForward);
  cpu::parallel({in.qkv, in.q_norm, in.k_norm, in.cos, in.sin, out.q_PBTHd, out.k_PBTGd, out.v_PBTGd}, call.rows,
                cpu::grain(call.planes * shape.width()),
                [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
  return out;
}

QkvRopeKernels::Gradients backward(const Heads& g, const Tensor& qkv_PBTC, const Tensor& q_norm_d,
                                   const Tensor& k_norm_d, const RopeTable& rope, const HeadShape& shape, double eps,
                                   bool want_norms) {
  const Operands in(qkv_PBTC, q_norm_d, k_norm_d, rope);
  QkvRopeCall call = in.call(rope, shape, eps);
  QkvRopeKernels::Gradients out{at::empty_like(in.qkv), {}, {}};
  call.gqkv = out.qkv_PBTC.data_ptr();
  Tensor g_parts[] = {g.q_PBTHd, g.k_PBTGd, g.v_PBTGd};
  for (size_t p = 0; p < 3; ++p) {
    if (!g_parts[p].defined()) continue;
    g_parts[p] = g_parts[p].contiguous();
    call.parts[p] = g_parts[p].data_ptr();
  }
  const auto run = HWY_DYNAMIC_DISPATCH(HeadsBackward);
  if (!want_norms || !q_norm_d.defined()) {
    cpu::parallel_uncaptured(call.rows, cpu::grain(call.planes * shape.width()),
                             [&](int64_t begin, int64_t end) { run(call, begin, end, nullptr); });
    return out;
  }
  const Tensor g_norms = cpu::sum_over_slices(
      call.rows, 2 * shape.head_dim, [&](int64_t begin, int64_t end, float* sums) { run(call, begin, end, sums); });
  out.q_norm_d = g_norms.narrow(0, 0, shape.head_dim);
  out.k_norm_d = g_norms.narrow(0, shape.head_dim, shape.head_dim);
  return out;
}

}  // namespace

const QkvRopeKernels qkv_rope_cpu{forward, backward};

}  // namespace ingrain::ops
#endif
