// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_QUANTIZED  // what all of them share
#define INGRAIN_OPS_QUANTIZED
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
#include "ops/quantized/narrow.h"
#include "ops/quantized/quantized.h"

#include "base/error.h"

#include <limits>

namespace ingrain::ops {

/// Rows to 16 bits a number, as a QuantizedCall wants them.
struct RoundingCall {
  at::ScalarType type;
  int64_t m, blocks;
  bool by_block;
  const void* a;  // [m, 32 blocks] of type
  int16_t* out;
  float *scale, *scaled_sum;
};

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantized/quantized.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A block as whole numbers: its largest magnitude becomes 32767. What is not finite makes it NaN.
template <class T>
HWY_INLINE void RoundBlock(const T* a, int16_t* out, float* scale, float* scaled_sum) {
  const hn::Rebind<int16_t, D> half16;
  V largest = Zero(), sum = Zero();
  for (size_t p = 0; p < kQuantizedBlock; p += Lanes()) {
    const V magnitude = hn::Abs(Load(a + p));
    largest = hn::Max(largest, magnitude);
    sum = hn::Add(sum, magnitude);
  }
  const float most = Max(largest), all = Sum(sum);
  // Below the smallest normal numbers 1 / scale would overflow.
  const bool finite = all <= std::numeric_limits<float>::max(), zero = most < 1e-30f;
  *scale = finite ? (zero ? 0.0f : most / 32767) : std::numeric_limits<float>::quiet_NaN();
  const V inverse = Set(finite && !zero ? 32767 / most : 0.0f);
  V rounded_sum = Zero();  // exact: 32 * 32767 < 2^24
  for (size_t p = 0; p < kQuantizedBlock; p += Lanes()) {
    const auto rounded = hn::NearestInt(hn::Mul(Load(a + p), inverse));
    rounded_sum = hn::Add(rounded_sum, hn::ConvertTo(D(), rounded));
    hn::StoreU(hn::DemoteTo(half16, rounded), half16, out + p);
  }
  *scaled_sum = *scale * Sum(rounded_sum);
}

template <class T>
void RoundAs(const RoundingCall& call, int64_t begin, int64_t end) {
  for (int64_t from = begin; from < end; ++from) {
    const int64_t to = call.by_block ? from % call.blocks * call.m + from / call.blocks : from;
    RoundBlock(static_cast<const T*>(call.a) + from * kQuantizedBlock, call.out + to * kQuantizedBlock, call.scale + to,
               call.scaled_sum + to);
  }
}

void Narrow(const float* from, int64_t count, BFloat16* to) {
  for (int64_t i = 0; i < count; i += int64_t(Lanes())) Store(Load(from + i), to + i);
}

void Round(const RoundingCall& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? RoundAs<float>(call, begin, end) : RoundAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Round);
HWY_EXPORT(Narrow);

/// Rows of a in 16 bits, as a format wants them.
struct Rounded16 {
  Tensor a16, scale_sum;  // [M, K]; [2, M, blocks]
};

Rounded16 round16(const Tensor& a, bool by_block) {
  const int64_t M = a.size(0), K = a.size(1), blocks = K / kQuantizedBlock;
  const Rounded16 out{at::empty({M, K}, at::kShort), at::empty({2, M, blocks}, at::kFloat)};
  float* const scale = out.scale_sum.data_ptr<float>();
  const RoundingCall rounding{
      a.scalar_type(), M, blocks, by_block, a.const_data_ptr(), out.a16.data_ptr<int16_t>(), scale, scale + M * blocks};
  cpu::parallel(
      {a, out.a16, out.scale_sum}, M * blocks, cpu::grain(kQuantizedBlock),
      [rounding, round = HWY_DYNAMIC_DISPATCH(Round)](int64_t begin, int64_t end) { round(rounding, begin, end); });
  return out;
}

}  // namespace

void narrow_blocks(const float* from, int64_t count, c10::BFloat16* to) {
  HWY_DYNAMIC_DISPATCH(Narrow)(from, count, to);
}

Tensor quantized_nt(const Tensor& a_MK, const Tensor& quantized) {
  const bool has_kernel = a_MK.is_cpu() && (a_MK.scalar_type() == at::kFloat || a_MK.scalar_type() == at::kBFloat16);
  TORCH_CHECK(is_quantized(quantized) && has_kernel && a_MK.dim() == 2 && a_MK.size(1) == quantized.size(1),
              "quantized_nt: rows ", a_MK.scalar_type(), " ", a_MK.sizes(), " on ", a_MK.device(),
              " do not fit a quantized matrix, but ", quantized.sizes(), "; they are for fp32 and bf16 on the CPU");
  const int64_t M = a_MK.size(0), N = quantized.size(0), K = quantized.size(1), blocks = K / kQuantizedBlock;
  const Tensor a = a_MK.contiguous(), c = at::empty({M, N}, a_MK.options());
  std::optional<Rounded16> by_row, by_block;
  auto* to = static_cast<char*>(c.data_ptr());
  for (const auto& [format, bytes] : quantized_parts(quantized)) {
    const bool many = M >= format->many_rows;
    std::optional<Rounded16>& rounded = many ? by_block : by_row;
    if (!rounded) rounded = round16(a, many);
    const float* const scale = rounded->scale_sum.const_data_ptr<float>();
    const QuantizedCall call{
        a.scalar_type(),        M, N, blocks, many, rounded->a16.const_data_ptr<int16_t>(), scale, scale + M * blocks,
        bytes.const_data_ptr(), to};
    cpu::parallel({rounded->a16, rounded->scale_sum, bytes, c}, bytes.size(0) / format->rows,
                  cpu::grain(format->rows * K),
                  [call, multiply = format->multiply](int64_t begin, int64_t end) { multiply(call, begin, end); });
    to += bytes.size(0) * c.element_size();
  }
  return c;
}

}  // namespace ingrain::ops
#endif
