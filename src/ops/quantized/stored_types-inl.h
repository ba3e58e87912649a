// GGUF's types of blocks without a codebook: where a block has its scales and its numbers. Per instruction set. Those
// with one are in base/codebook_blocks.h.
#if defined(INGRAIN_OPS_QUANTIZED_STORED_TYPES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_QUANTIZED_STORED_TYPES_INL_H_
#undef INGRAIN_OPS_QUANTIZED_STORED_TYPES_INL_H_
#else
#define INGRAIN_OPS_QUANTIZED_STORED_TYPES_INL_H_
#endif

#include "base/codebook_blocks.h"
#include "ops/simd/vec-inl.h"

#include <array>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// Byte i: 16 for each set bit of i, in the order of bits.
inline constexpr auto kBitsTimes16 = [] {
  std::array<uint64_t, 256> out{};
  for (uint64_t i = 0; i < 256; ++i)
    for (uint64_t bit = 0; bit < 8; ++bit) out[i] |= (i >> bit & 1) << (8 * bit + 4);
  return out;
}();

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

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
