// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_QUANTIZED  // what all of them share
#define INGRAIN_OPS_QUANTIZED
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
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

void Round(const RoundingCall& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? RoundAs<float>(call, begin, end) : RoundAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Round);

/// Of a matrix that its kernels can read.
const QuantizedFormat& format_of(const Tensor& quantized) {
  const QuantizedFormat* const format = quantized_format(quantized);
  TORCH_CHECK(format && quantized.dim() == 2 && quantized.is_cpu() && quantized.is_contiguous() &&
                  quantized.size(0) % format->rows == 0 && quantized.size(1) % format->bytes == 0,
              "a matrix of ", quantized.scalar_type(), " ", quantized.sizes(), " is not one that quantize() made");
  return *format;
}

int64_t blocks_of_row(const Tensor& quantized, const QuantizedFormat& format) {
  return quantized.size(1) / format.bytes;
}

}  // namespace

const QuantizedFormat* quantized_format(const Tensor& w) {
  for (const QuantizedFormat* format : kQuantizedFormats)
    if (format->type == w.scalar_type()) return format;
  return nullptr;
}

bool can_quantize(at::IntArrayRef sizes_NK, const QuantizedFormat& format) {
  return sizes_NK.size() == 2 && sizes_NK[0] % format.rows == 0 && sizes_NK[1] % kQuantizedBlock == 0;
}

Tensor quantize(const Tensor& w_NK, const QuantizedFormat& format) {
  TORCH_CHECK(can_quantize(w_NK.sizes(), format) && w_NK.is_cpu(), "weights ", w_NK.sizes(), " on ", w_NK.device(),
              " cannot be quantized as ", format.name, ": that is in blocks of ", kQuantizedBlock, " and groups of ",
              format.rows, " rows, on the CPU");
  const int64_t N = w_NK.size(0), K = w_NK.size(1), blocks = K / kQuantizedBlock;
  const Tensor w = w_NK.detach().to(at::kFloat).contiguous();
  const float largest = w.numel() == 0 ? 0 : w.abs().max().item<float>();
  require(largest <= format.largest,
          "a matrix of {} x {} has a weight of {}, and {} ends at {}; leave the weights native", N, K, largest,
          format.name, format.largest);
  const Tensor out = at::empty({N, format.bytes * blocks}, format.type);
  auto* const bytes = static_cast<char*>(out.data_ptr());
  cpu::parallel_uncaptured(N / format.rows, cpu::grain(format.rows * K), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * format.rows; row < end * format.rows; row += format.rows)
      format.quantize(w.const_data_ptr<float>() + row * K, blocks, bytes + row * blocks * format.bytes);
  });
  return out;
}

Tensor dequantize(const Tensor& quantized) {
  const QuantizedFormat& format = format_of(quantized);
  const int64_t N = quantized.size(0), blocks = blocks_of_row(quantized, format), K = blocks * kQuantizedBlock;
  const Tensor out = at::empty({N, K}, at::kFloat);
  const auto* const bytes = static_cast<const char*>(quantized.const_data_ptr());
  cpu::parallel_uncaptured(N / format.rows, cpu::grain(format.rows * K), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * format.rows; row < end * format.rows; row += format.rows)
      format.dequantize(bytes + row * blocks * format.bytes, blocks, out.data_ptr<float>() + row * K);
  });
  return out;
}

Tensor quantized_nt(const Tensor& a_MK, const Tensor& quantized) {
  const QuantizedFormat& format = format_of(quantized);
  const int64_t N = quantized.size(0), blocks = blocks_of_row(quantized, format), K = blocks * kQuantizedBlock;
  const bool has_kernel = a_MK.is_cpu() && (a_MK.scalar_type() == at::kFloat || a_MK.scalar_type() == at::kBFloat16);
  TORCH_CHECK(has_kernel && a_MK.dim() == 2 && a_MK.size(1) == K, "quantized_nt: rows ", a_MK.scalar_type(), " ",
              a_MK.sizes(), " on ", a_MK.device(), " do not fit a quantized matrix of ", K,
              " columns, for fp32 and bf16 on the CPU");
  const int64_t M = a_MK.size(0);
  const Tensor a = a_MK.contiguous(), c = at::empty({M, N}, a_MK.options());
  const Tensor a16 = at::empty({M, K}, at::kShort), scale_sum = at::empty({2, M, blocks}, at::kFloat);
  float *const scale = scale_sum.data_ptr<float>(), *const sum = scale + M * blocks;
  const bool by_block = M >= format.many_rows;
  const RoundingCall rounding{a.scalar_type(),         M,     blocks, by_block, a.const_data_ptr(),
                              a16.data_ptr<int16_t>(), scale, sum};
  cpu::parallel(
      {a, a16, scale_sum}, M * blocks, cpu::grain(kQuantizedBlock),
      [rounding, round = HWY_DYNAMIC_DISPATCH(Round)](int64_t begin, int64_t end) { round(rounding, begin, end); });
  const QuantizedCall call{
      a.scalar_type(), M, N, blocks, by_block, a16.const_data_ptr<int16_t>(), scale, sum, quantized.const_data_ptr(),
      c.data_ptr()};
  cpu::parallel({a16, scale_sum, quantized, c}, N / format.rows, cpu::grain(format.rows * K),
                [call, multiply = format.multiply](int64_t begin, int64_t end) { multiply(call, begin, end); });
  return c;
}

}  // namespace ingrain::ops
#endif
