// Weights in the blocks in which GGUF files have them (docs/formats.md): every type is a struct that says where a
// block's scales and numbers lie (stored_types-inl.h); product and dequantization follow from it here. Types with a
// codebook share theirs, which call a type's struct for each 32 weights: a product of its own for each would cost the
// compiler seconds. Compiled without contraction of products and sums (cmake/operations.cmake): what gguf-py rounds
// twice is rounded twice. This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_STORED  // what all of them share
#define INGRAIN_OPS_STORED
#define INGRAIN_WITH_NATIVE_BF16  // those processors multiply whole numbers and add them at once
#include "ops/simd/targets.h"
#include "base/codebook_blocks.h"
#include "ops/quantized/format.h"

#include <array>
#include <limits>
#include <utility>

namespace ingrain::ops {

/// A type's functions, for the instruction set that runs.
struct StoredKernels {
  void (*multiply)(const QuantizedCall& call, int64_t begin, int64_t end);
  void (*dequantize)(const void* row, int64_t blocks, float* w);
};

constexpr int kLargestCodebookBlock = 110;  // bytes, of IQ3_S

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantized/stored.cpp"
#include <hwy/foreach_target.h>
#include "ops/quantized/dots-inl.h"
#include "ops/quantized/stored_types-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A type with a codebook: its struct's functions, called.
template <bool kHasFactors>
struct OfCodebook : Super<kLargestCodebookBlock, false, kHasFactors, false> {
  int64_t bytes;
  void (*scales)(const uint8_t* b, BlockScales& s);
  void (*numbers)(const uint8_t* b, int piece, int8_t* q);
  HWY_INLINE int64_t Bytes() const { return bytes; }
  HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) const { scales(b, s); }
  HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) const { numbers(b, piece, q); }
};

/// c[i][j] = <a_i, w_j> for M rows of a and `streams` (up to kStreams) rows of w.
template <int M, class F>
HWY_INLINE void StoredDots(const F& f, const QuantizedCall& call, const int16_t* a, const float* a_scale,
                           const float* a_sum, const uint8_t* w, int64_t streams, float (&c)[M][kStreams]) {
  constexpr int kPieces = F::kBlock / kQuantizedBlock;
  const int64_t K = call.blocks * kQuantizedBlock, row_size = call.blocks / kPieces * f.Bytes();
  V sum[M][kStreams];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) sum[i][j] = Zero();
  float of_least[M][kStreams] = {};
  // Of blocks of eight pieces, whose least weights are added up together.
  constexpr bool kLeastOfEight = F::kLeast && kPieces == 8;
  const hn::CappedTag<float, 8> d8;
  hn::Vec<decltype(d8)> least[M][kStreams];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) least[i][j] = hn::Zero(d8);
  const uint8_t* row[kStreams];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
  for (int j = 0; j < kStreams; ++j) row[j] = w + HWY_MIN(int64_t{j}, streams - 1) * row_size;
  const char* const next = reinterpret_cast<const char*>(w) + kStreams * row_size;
  BlockScales scales[kStreams];
  for (int64_t s = 0; s < call.blocks / kPieces; ++s) {
    PrefetchBytes<Cache::first, kStreams * F::kBytes>(next + s * kStreams * f.Bytes());
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) f.Scales(row[j] + s * f.Bytes(), scales[j]);
    if constexpr (kLeastOfEight) {
#pragma GCC unroll 4
      for (int j = 0; j < kStreams; ++j)
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i)
          for (size_t p = 0; p < 8; p += hn::Lanes(d8))
            least[i][j] = hn::MulAdd(hn::LoadU(d8, scales[j].least + p),
                                     hn::LoadU(d8, a_sum + i * call.blocks + 8 * s + p), least[i][j]);
    }
    for (int piece = 0; piece < kPieces; ++piece) {
      const int64_t b = s * kPieces + piece;
      const int16_t* const x = a + b * kQuantizedBlock;
#pragma GCC unroll 4
      for (int j = 0; j < kStreams; ++j) {
        HWY_ALIGN int8_t q[kQuantizedBlock];
        f.Numbers(row[j] + s * f.Bytes(), piece, q);
        const BlockScales& of = scales[j];
        VI dots[M];
        if constexpr (F::kFactors)
          HalvesDots<M>(x, K, q, of.factor[2 * piece], of.factor[2 * piece + 1], dots);
        else
          Dots<M>(x, K, q, dots);
        const float scale = of.scale[piece] * (F::kFactors ? kOfHalvesDots : 1.0f);
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
          sum[i][j] = hn::MulAdd(hn::ConvertTo(D(), dots[i]), Set(scale * a_scale[i * call.blocks + b]), sum[i][j]);
          if (F::kLeast && !kLeastOfEight) of_least[i][j] += of.least[piece] * a_sum[i * call.blocks + b];
        }
        if constexpr (F::kLeastFactors) {
          HalvesSums<M>(x, K, of.factor_of_least[2 * piece], of.factor_of_least[2 * piece + 1], dots);
#pragma GCC unroll 4
          for (int i = 0; i < M; ++i)
            sum[i][j] = hn::NegMulAdd(hn::ConvertTo(D(), dots[i]), Set(of.least[piece] * a_scale[i * call.blocks + b]),
                                      sum[i][j]);
        }
      }
    }
  }
  for (int i = 0; i < M; ++i) {
    StoreDots(sum[i], kStreams, c[i]);
    for (int64_t j = 0; j < kStreams && F::kLeast; ++j)
      c[i][j] += kLeastOfEight ? hn::GetLane(hn::SumOfLanes(d8, least[i][j])) : of_least[i][j];
  }
}

template <class F>
void StoredRows(const F& f, const QuantizedCall& call, int64_t begin, int64_t end) {
  const int64_t K = call.blocks * kQuantizedBlock, row_size = K / F::kBlock * f.Bytes();
  for (int64_t j = begin; j < end; j += kStreams) {
    const int64_t streams = HWY_MIN(int64_t{kStreams}, end - j);
    const auto* const w = static_cast<const uint8_t*>(call.w) + j * row_size;
    const auto meet = [&]<int M>(std::integral_constant<int, M>, int64_t i) {
      float c[M][kStreams];
      StoredDots<M>(f, call, call.a + i * K, call.a_scale + i * call.blocks, call.a_sum + i * call.blocks, w, streams,
                    c);
      for (int r = 0; r < M; ++r) {
        const int64_t at = (i + r) * call.n + j;
        if (call.type == at::kFloat)
          std::copy_n(c[r], streams, static_cast<float*>(call.c) + at);
        else
          std::copy_n(c[r], streams, static_cast<BFloat16*>(call.c) + at);
      }
    };
    int64_t i = 0;
    for (; i + 2 <= call.m; i += 2) meet(std::integral_constant<int, 2>(), i);
    if (i < call.m) meet(std::integral_constant<int, 1>(), i);
  }
}

template <class F>
void Expand(const F& f, const void* row, int64_t blocks, float* HWY_RESTRICT w) {
  const auto* block = static_cast<const uint8_t*>(row);
  BlockScales of;
  HWY_ALIGN int8_t q[kQuantizedBlock];
  for (int64_t b = 0; b < blocks; ++b, block += f.Bytes()) {
    f.Scales(block, of);
    for (int piece = 0; piece < F::kBlock / kQuantizedBlock; ++piece) {
      f.Numbers(block, piece, q);
      for (int half = 0; half < 2; ++half, w += 16) {
        const int8_t* const from = q + 16 * half;
        float scale = of.scale[piece], least = F::kLeast ? of.least[piece] : 0;
        if (F::kFactors) scale *= static_cast<float>(of.factor[2 * piece + half]);
        if (F::kLeastFactors) least = -(of.least[piece] * static_cast<float>(of.factor_of_least[2 * piece + half]));
        for (int i = 0; i < 16; ++i) {
          const float product = scale * static_cast<float>(from[i]);
          w[i] = F::kLeast || F::kLeastFactors ? product + least : product;
        }
      }
    }
  }
}

template <class C>
void CodebookScales(const uint8_t* b, BlockScales& s) {
  C::Scales(b, s);
}
template <class C>
void CodebookNumbers(const uint8_t* b, int piece, int8_t* q) {
  C::Numbers(b, piece, q);
}

/// The value of a struct that has only static functions; of a codebook's, those to call.
template <class F>
constexpr F kOf{};
template <class C>
constexpr OfCodebook<C::kFactors> kOfCodebook{{}, C::kBytes, CodebookScales<C>, CodebookNumbers<C>};

template <const auto& f>
constexpr StoredKernels kKernels{
    [](const QuantizedCall& call, int64_t begin, int64_t end) { StoredRows(f, call, begin, end); },
    [](const void* row, int64_t blocks, float* w) { Expand(f, row, blocks, w); }};
template <class F>
constexpr StoredKernels kStored = kKernels<kOf<F>>;
template <class C>
constexpr StoredKernels kFromCodebook = kKernels<kOfCodebook<C>>;

/// In the order of kStoredTypes.
const StoredKernels& KernelsOf(size_t type) {
  namespace codebook = codebook_blocks;
  static constexpr StoredKernels all[] = {kStored<Q4_0>,
                                          kStored<Q4_1>,
                                          kStored<Q5_0>,
                                          kStored<Q5_1>,
                                          kStored<Q8_0>,
                                          kStored<Q2_K>,
                                          kStored<Q3_K>,
                                          kStored<Q4_K>,
                                          kStored<Q5_K>,
                                          kStored<Q6_K>,
                                          kStored<IQ4_NL>,
                                          kStored<IQ4_XS>,
                                          kFromCodebook<codebook::IQ2_XXS>,
                                          kFromCodebook<codebook::IQ2_XS>,
                                          kFromCodebook<codebook::IQ2_S>,
                                          kFromCodebook<codebook::IQ3_XXS>,
                                          kFromCodebook<codebook::IQ3_S>,
                                          kFromCodebook<codebook::IQ1_S>,
                                          kFromCodebook<codebook::IQ1_M>,
                                          kFromCodebook<codebook::TQ1_0>,
                                          kFromCodebook<codebook::TQ2_0>,
                                          kStored<MXFP4>};
  return all[type];
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(KernelsOf);

struct StoredType {
  uint32_t number;  // in files
  const char* name;
  int64_t block, bytes;
  int scale_at, other_scale_at;
  bool (*finite)(const uint8_t* block) = nullptr;
};
constexpr StoredType kStoredTypes[] = {{2, "Q4_0", 32, 18, 0, -1},
                                       {3, "Q4_1", 32, 20, 0, 2},
                                       {6, "Q5_0", 32, 22, 0, -1},
                                       {7, "Q5_1", 32, 24, 0, 2},
                                       {8, "Q8_0", 32, 34, 0, -1},
                                       {10, "Q2_K", 256, 84, 80, 82},
                                       {11, "Q3_K", 256, 110, 108, -1},
                                       {12, "Q4_K", 256, 144, 0, 2},
                                       {13, "Q5_K", 256, 176, 0, 2},
                                       {14, "Q6_K", 256, 210, 208, -1},
                                       {20, "IQ4_NL", 32, 18, 0, -1},
                                       {23, "IQ4_XS", 256, 136, 0, -1},
                                       {16, "IQ2_XXS", 256, 66, 0, -1},
                                       {17, "IQ2_XS", 256, 74, 0, -1},
                                       {22, "IQ2_S", 256, 82, 0, -1},
                                       {18, "IQ3_XXS", 256, 98, 0, -1},
                                       {21, "IQ3_S", 256, 110, 0, -1},
                                       {19, "IQ1_S", 256, 50, 0, -1},
                                       {29, "IQ1_M", 256, 56, -1, -1, codebook_blocks::IQ1_M::Finite},
                                       {34, "TQ1_0", 256, 54, 52, -1},
                                       {35, "TQ2_0", 256, 66, 64, -1},
                                       {39, "MXFP4", 32, 17, -1, -1, codebook_blocks::MXFP4::Finite}};
constexpr size_t kTypes = std::size(kStoredTypes);

template <size_t type>
void multiply_stored(const QuantizedCall& call, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(KernelsOf)(type).multiply(call, begin, end);
}
template <size_t type>
void dequantize_stored(const void* row, int64_t blocks, float* w) {
  HWY_DYNAMIC_DISPATCH(KernelsOf)(type).dequantize(row, blocks, w);
}

template <size_t... type>
std::array<QuantizedFormat, kTypes> stored_formats(std::index_sequence<type...>) {
  return {QuantizedFormat{kStoredTypes[type].name, 1, kStoredTypes[type].block, kStoredTypes[type].bytes,
                          std::numeric_limits<float>::max(), std::numeric_limits<int64_t>::max(), nullptr,
                          dequantize_stored<type>, multiply_stored<type>, nullptr, kStoredTypes[type].scale_at,
                          kStoredTypes[type].other_scale_at, kStoredTypes[type].finite}...};
}

}  // namespace

const QuantizedFormat* format_of_file(uint32_t type, int64_t rows) {
  static const std::array<QuantizedFormat, kTypes> formats = stored_formats(std::make_index_sequence<kTypes>());
  constexpr uint32_t kQ4_1 = 3;
  if (type == kQ4_1 && rows % q4_1.rows == 0) return &q4_1;  // side by side they are faster
  for (size_t i = 0; i < kTypes; ++i)
    if (kStoredTypes[i].number == type) return &formats[i];
  return nullptr;
}

}  // namespace ingrain::ops
#endif
