// Weights in the blocks in which GGUF files have them (docs/formats.md): every type is a struct that says where a
// block's scales and numbers lie; product and dequantization follow from it. Types with a codebook share theirs, which
// call a type's struct for each 32 weights: a product of its own for each would cost the compiler seconds. Compiled
// without contraction of products and sums (cmake/operations.cmake): what gguf-py rounds twice is rounded twice.
// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
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

/// Byte i: 16 for each set bit of i, in the order of bits.
inline constexpr auto kBitsTimes16 = [] {
  std::array<uint64_t, 256> out{};
  for (uint64_t i = 0; i < 256; ++i)
    for (uint64_t bit = 0; bit < 8; ++bit) out[i] |= (i >> bit & 1) << (8 * bit + 4);
  return out;
}();

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantized/stored.cpp"
#include <hwy/foreach_target.h>
#include "ops/quantized/dots-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

HWY_INLINE float HalfAt(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  return _cvtsh_ss(bits);
#else
  return half_to_float(bits);
#endif
}

/// 16 bytes of two numbers each: the lower halves first.
HWY_INLINE void Nibbles(const uint8_t* HWY_RESTRICT from, int8_t* HWY_RESTRICT q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>(from[i] & 15);
    q[i + 16] = static_cast<int8_t>(from[i] >> 4);
  }
}

/// 16 for the bits of numbers that have a fifth one.
HWY_INLINE void AddFifthBits(const uint8_t* HWY_RESTRICT bits, int8_t* HWY_RESTRICT q) {
  for (int i = 0; i < 4; ++i) {
    uint64_t eight;
    std::memcpy(&eight, q + 8 * i, sizeof eight);
    eight |= kBitsTimes16[bits[i]];
    std::memcpy(q + 8 * i, &eight, sizeof eight);
  }
}

HWY_INLINE void Subtract(int8_t x, int8_t* q) {
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] - x);
}

/// Numbers of 4 bits that stand for one of kNonLinear.
HWY_INLINE void LookUp(int8_t* q) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 32; ++i) q[i] = kNonLinear[q[i]];
#else
  const hn::FixedTag<int8_t, 16> d;
  const auto table = hn::LoadU(d, kNonLinear);
  for (int i = 0; i < 32; i += 16) hn::StoreU(hn::TableLookupBytes(table, hn::LoadU(d, q + i)), d, q + i);
#endif
}

/// Of types of 32 weights, with nothing beyond a scale (and a least weight).
template <int kSize, bool kHasLeast>
struct Small {
  static constexpr int64_t kBlock = 32, kBytes = kSize;
  static constexpr bool kLeast = kHasLeast, kFactors = false, kLeastFactors = false;
  static HWY_INLINE int64_t Bytes() { return kBytes; }
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    s.scale[0] = HalfAt(b);
    if (kHasLeast) s.least[0] = HalfAt(b + 2);
  }
};
struct Q8_0 : Small<34, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { std::memcpy(q, b + 2, 32); }
};
struct Q4_0 : Small<18, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) {
    Nibbles(b + 2, q);
    Subtract(8, q);
  }
};
struct Q4_1 : Small<20, true> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { Nibbles(b + 4, q); }
};
struct Q5_0 : Small<22, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) {
    Nibbles(b + 6, q);
    AddFifthBits(b + 2, q);
    Subtract(16, q);
  }
};
struct Q5_1 : Small<24, true> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) {
    Nibbles(b + 8, q);
    AddFifthBits(b + 4, q);
  }
};
struct IQ4_NL : Small<18, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) {
    Nibbles(b + 2, q);
    LookUp(q);
  }
};

/// A codebook's with a call saved: its block is one piece.
struct MXFP4 : codebook_blocks::MXFP4 {
  static HWY_INLINE int64_t Bytes() { return kBytes; }
};

template <int kSize, bool kHasLeast, bool kHasFactors, bool kHasLeastFactors>
struct Super {
  static constexpr int64_t kBlock = 256, kBytes = kSize;
  static constexpr bool kLeast = kHasLeast, kFactors = kHasFactors, kLeastFactors = kHasLeastFactors;
  static HWY_INLINE int64_t Bytes() { return kBytes; }
};

/// Eight scales and eight minima of 6 bits in 12 bytes.
HWY_INLINE void SixBitScales(const uint8_t* b, BlockScales& s) {
  const float d = HalfAt(b), dmin = HalfAt(b + 2);
  const uint8_t* const packed = b + 4;
  uint8_t scale[8], least[8];
  for (int j = 0; j < 4; ++j) {
    scale[j] = packed[j] & 63;
    least[j] = packed[j + 4] & 63;
    scale[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4);
    least[j + 4] = static_cast<uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4);
  }
  for (int j = 0; j < 8; ++j) {
    s.scale[j] = d * static_cast<float>(scale[j]);
    s.least[j] = -(dmin * static_cast<float>(least[j]));
  }
}

/// 32 bytes hold two pieces, one in their lower halves.
HWY_INLINE void NibblesOfPiece(const uint8_t* HWY_RESTRICT quants, int piece, int8_t* HWY_RESTRICT q) {
  const uint8_t* const from = quants + piece / 2 * 32;
  const int shift = piece % 2 * 4;
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(from[i] >> shift & 15);
}

/// Two bits a number: 32 bytes hold four pieces.
HWY_INLINE void PairsOfPiece(const uint8_t* HWY_RESTRICT quants, int piece, int8_t* HWY_RESTRICT q) {
  const uint8_t* const from = quants + piece / 4 * 32;
  const int shift = piece % 4 * 2;
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(from[i] >> shift & 3);
}

struct Q4_K : Super<144, true, false, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) { SixBitScales(b, s); }
  static HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) { NibblesOfPiece(b + 16, piece, q); }
};
struct Q5_K : Super<176, true, false, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) { SixBitScales(b, s); }
  static HWY_INLINE void Numbers(const uint8_t* HWY_RESTRICT b, int piece, int8_t* HWY_RESTRICT q) {
    NibblesOfPiece(b + 48, piece, q);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] | (b[16 + i] >> piece & 1) << 4);
  }
};
struct Q6_K : Super<210, false, true, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    const float d = HalfAt(b + 208);
    for (float& scale : s.scale) scale = d;
    std::memcpy(s.factor, b + 192, 16);
  }
  static HWY_INLINE void Numbers(const uint8_t* HWY_RESTRICT b, int piece, int8_t* HWY_RESTRICT q) {
    const int half = piece / 4, run = piece % 4, low_shift = run / 2 * 4, high_shift = 2 * run;
    const uint8_t *const low = b + half * 64 + run % 2 * 32, *const high = b + 128 + half * 32;
    for (int i = 0; i < 32; ++i)
      q[i] = static_cast<int8_t>(((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4) - 32);
  }
};
struct Q3_K : Super<110, false, true, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    const float d = HalfAt(b + 108);
    for (float& scale : s.scale) scale = d;
    const uint8_t* const packed = b + 96;
    for (int k = 0; k < 16; ++k) {
      const int low = k < 8 ? packed[k] & 15 : packed[k - 8] >> 4, high = packed[8 + k % 4] >> (k / 4 * 2) & 3;
      s.factor[k] = static_cast<int8_t>((low | high << 4) - 32);
    }
  }
  static HWY_INLINE void Numbers(const uint8_t* HWY_RESTRICT b, int piece, int8_t* HWY_RESTRICT q) {
    PairsOfPiece(b + 32, piece, q);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] - (~(b[i] >> piece) & 1) * 4);
  }
};
struct Q2_K : Super<84, false, true, true> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    const float d = HalfAt(b + 80), dmin = HalfAt(b + 82);
    for (int j = 0; j < 8; ++j) {
      s.scale[j] = d;
      s.least[j] = dmin;
    }
    for (int k = 0; k < 16; ++k) {
      s.factor[k] = static_cast<int8_t>(b[k] & 15);
      s.factor_of_least[k] = static_cast<int8_t>(b[k] >> 4);
    }
  }
  static HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) { PairsOfPiece(b + 16, piece, q); }
};
struct IQ4_XS : Super<136, false, false, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    const float d = HalfAt(b);
    const int high = b[2] | b[3] << 8;
    for (int j = 0; j < 8; ++j) {
      const int low = b[4 + j / 2] >> (j % 2 * 4) & 15;
      s.scale[j] = d * static_cast<float>((low | (high >> (2 * j) & 3) << 4) - 32);
    }
  }
  static HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) {
    Nibbles(b + 8 + piece * 16, q);
    LookUp(q);
  }
};

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
  const uint8_t* row[kStreams];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
  for (int j = 0; j < kStreams; ++j) row[j] = w + HWY_MIN(int64_t{j}, streams - 1) * row_size;
  const char* const next = reinterpret_cast<const char*>(w) + kStreams * row_size;
  BlockScales scales[kStreams];
  for (int64_t s = 0; s < call.blocks / kPieces; ++s) {
    PrefetchBytes<Cache::first, kStreams * F::kBytes>(next + s * kStreams * f.Bytes());
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) f.Scales(row[j] + s * f.Bytes(), scales[j]);
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
          if (F::kLeast) of_least[i][j] += of.least[piece] * a_sum[i * call.blocks + b];
        }
        if constexpr (F::kLeastFactors) {
          std::fill(q, q + 16, of.factor_of_least[2 * piece]);
          std::fill(q + 16, q + 32, of.factor_of_least[2 * piece + 1]);
          Dots<M>(x, K, q, dots);
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
    if (F::kLeast)
      for (int64_t j = 0; j < kStreams; ++j) c[i][j] += of_least[i][j];
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
