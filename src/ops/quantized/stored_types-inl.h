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

#include <cstring>

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

#if HWY_TARGET == HWY_SCALAR
/// 16 bytes of two numbers each, less `zero`: the lower halves first.
HWY_INLINE void Nibbles(const uint8_t* HWY_RESTRICT from, int8_t* HWY_RESTRICT q, int zero = 0) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>((from[i] & 15) - zero);
    q[i + 16] = static_cast<int8_t>((from[i] >> 4) - zero);
  }
}

/// The same with a fifth bit of each number.
HWY_INLINE void FiveBits(const uint8_t* from, const uint8_t* bits, int8_t* q, int zero = 0) {
  Nibbles(from, q, zero);
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] + (bits[i / 8] >> (i % 8) & 1) * 16);
}

/// Numbers of 4 bits that stand for one of kNonLinear.
HWY_INLINE void NonLinearNibbles(const uint8_t* from, int8_t* q) {
  Nibbles(from, q);
  for (int i = 0; i < 32; ++i) q[i] = kNonLinear[q[i]];
}
#else
using Bytes16 = hn::FixedTag<uint8_t, 16>;
using Half = hn::Vec<Bytes16>;

/// A block's halves, less `zero`, by one store: products load it whole, which has to wait where it was stored in parts.
HWY_INLINE void Join(Half low, Half high, int zero, int8_t* q) {
  auto* const to = reinterpret_cast<uint8_t*>(q);
  const auto less = static_cast<uint8_t>(zero);
#if HWY_MAX_BYTES >= 32
  const hn::FixedTag<uint8_t, 32> d;
  hn::StoreU(hn::Sub(hn::Combine(d, high, low), hn::Set(d, less)), d, to);
#else
  const Bytes16 d;
  hn::StoreU(hn::Sub(low, hn::Set(d, less)), d, to);
  hn::StoreU(hn::Sub(high, hn::Set(d, less)), d, to + 16);
#endif
}

HWY_INLINE void Nibbles(const uint8_t* HWY_RESTRICT from, int8_t* HWY_RESTRICT q, int zero = 0) {
  const Bytes16 d;
  const Half bytes = hn::LoadU(d, from);
  Join(hn::And(bytes, hn::Set(d, 15)), hn::ShiftRight<4>(bytes), zero, q);
}

HWY_INLINE void FiveBits(const uint8_t* HWY_RESTRICT from, const uint8_t* HWY_RESTRICT bits, int8_t* HWY_RESTRICT q,
                         int zero = 0) {
  const Bytes16 d;
  const Half bytes = hn::LoadU(d, from), low = hn::And(bytes, hn::Set(d, 15)), high = hn::ShiftRight<4>(bytes);
  const auto fifth = [&](const uint8_t* at) { return hn::IfThenElseZero(hn::LoadMaskBits(d, at), hn::Set(d, 16)); };
  Join(hn::Or(low, fifth(bits)), hn::Or(high, fifth(bits + 2)), zero, q);
}

HWY_INLINE void NonLinearNibbles(const uint8_t* HWY_RESTRICT from, int8_t* HWY_RESTRICT q) {
  const Bytes16 d;
  const Half bytes = hn::LoadU(d, from), table = hn::LoadU(d, reinterpret_cast<const uint8_t*>(kNonLinear));
  Join(hn::TableLookupBytes(table, hn::And(bytes, hn::Set(d, 15))),
       hn::TableLookupBytes(table, hn::ShiftRight<4>(bytes)), 0, q);
}
#endif

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
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { Nibbles(b + 2, q, 8); }
};
struct Q4_1 : Small<20, true> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { Nibbles(b + 4, q); }
};
struct Q5_0 : Small<22, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { FiveBits(b + 6, b + 2, q, 16); }
};
struct Q5_1 : Small<24, true> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { FiveBits(b + 8, b + 4, q); }
};
struct IQ4_NL : Small<18, false> {
  static HWY_INLINE void Numbers(const uint8_t* b, int, int8_t* q) { NonLinearNibbles(b + 2, q); }
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

/// Eight scales and eight minima of 6 bits in 12 bytes, four at a time: 4 bits of the last ones are at the end, and 2
/// above those of the first ones.
HWY_INLINE void SixBitScales(const uint8_t* HWY_RESTRICT b, BlockScales& s) {
  const float d = HalfAt(b), less = -HalfAt(b + 2);
  uint32_t packed[3];
  std::memcpy(packed, b + 4, sizeof packed);
  const uint32_t low6 = 0x3f3f3f3f, low4 = 0x0f0f0f0f, low2 = 0x03030303;
  const uint32_t fours[] = {packed[0] & low6, (packed[2] & low4) | (packed[0] >> 6 & low2) << 4,  //
                            packed[1] & low6, (packed[2] >> 4 & low4) | (packed[1] >> 6 & low2) << 4};
  uint8_t whole[16];
  std::memcpy(whole, fours, sizeof whole);
  for (int j = 0; j < 8; ++j) s.scale[j] = d * static_cast<float>(whole[j]);
  for (int j = 0; j < 8; ++j) s.least[j] = less * static_cast<float>(whole[8 + j]);
}

#if HWY_TARGET == HWY_SCALAR
using Byte = uint8_t;
HWY_INLINE Byte BitsFrom(Byte x, int shift, uint8_t mask) { return static_cast<Byte>(x >> shift & mask); }
HWY_INLINE Byte Upwards(Byte x, int shift) { return static_cast<Byte>(x << shift); }
HWY_INLINE Byte Either(Byte x, Byte y) { return x | y; }
HWY_INLINE Byte Less(Byte x, uint8_t y) { return static_cast<Byte>(x - y); }
/// q_i = of(load) for a piece's 32 bytes, load(from) giving byte i of `from`.
template <class Of>
HWY_INLINE void EachByte(int8_t* HWY_RESTRICT q, const Of& of) {
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(of([i](const uint8_t* from) { return from[i]; }));
}
#else
using Bytes = hn::FixedTag<uint8_t, HWY_MAX_BYTES >= 32 ? 32 : 16>;
using Byte = hn::Vec<Bytes>;
/// As words: what comes in from a neighbour is masked away.
HWY_INLINE Byte BitsFrom(Byte x, int shift, uint8_t mask) {
  const hn::Repartition<uint16_t, Bytes> words;
  return hn::And(hn::BitCast(Bytes(), hn::ShiftRightSame(hn::BitCast(words, x), shift)), hn::Set(Bytes(), mask));
}
HWY_INLINE Byte Upwards(Byte x, int shift) {
  const hn::Repartition<uint16_t, Bytes> words;
  return hn::BitCast(Bytes(), hn::ShiftLeftSame(hn::BitCast(words, x), shift));
}
HWY_INLINE Byte Either(Byte x, Byte y) { return hn::Or(x, y); }
HWY_INLINE Byte Less(Byte x, uint8_t y) { return hn::Sub(x, hn::Set(Bytes(), y)); }
template <class Of>
HWY_INLINE void EachByte(int8_t* HWY_RESTRICT q, const Of& of) {
  constexpr size_t kLanes = hn::MaxLanes(Bytes());
  for (size_t i = 0; i < 32; i += kLanes)
    hn::StoreU(of([i](const uint8_t* from) { return hn::LoadU(Bytes(), from + i); }), Bytes(),
               reinterpret_cast<uint8_t*>(q) + i);
}
#endif

/// 32 bytes hold two pieces, one in their lower halves.
HWY_INLINE void NibblesOfPiece(const uint8_t* HWY_RESTRICT quants, int piece, int8_t* HWY_RESTRICT q) {
  EachByte(q, [&](const auto& load) { return BitsFrom(load(quants + piece / 2 * 32), piece % 2 * 4, 15); });
}

/// Two bits a number: 32 bytes hold four pieces.
HWY_INLINE void PairsOfPiece(const uint8_t* HWY_RESTRICT quants, int piece, int8_t* HWY_RESTRICT q) {
  EachByte(q, [&](const auto& load) { return BitsFrom(load(quants + piece / 4 * 32), piece % 4 * 2, 3); });
}

struct Q4_K : Super<144, true, false, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) { SixBitScales(b, s); }
  static HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) { NibblesOfPiece(b + 16, piece, q); }
};
struct Q5_K : Super<176, true, false, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) { SixBitScales(b, s); }
  static HWY_INLINE void Numbers(const uint8_t* HWY_RESTRICT b, int piece, int8_t* HWY_RESTRICT q) {
    EachByte(q, [&](const auto& load) {
      const Byte low = BitsFrom(load(b + 48 + piece / 2 * 32), piece % 2 * 4, 15);
      return Either(low, Upwards(BitsFrom(load(b + 16), piece, 1), 4));
    });
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
    EachByte(q, [&](const auto& load) {
      return Less(Either(BitsFrom(load(low), low_shift, 15), Upwards(BitsFrom(load(high), high_shift, 3), 4)), 32);
    });
  }
};
struct Q3_K : Super<110, false, true, false> {
  static HWY_INLINE void Scales(const uint8_t* b, BlockScales& s) {
    const float d = HalfAt(b + 108);
    for (float& scale : s.scale) scale = d;
    // Four bits of the first eight are in the lower halves of 8 bytes, of the others in the upper ones; two more of all
    // in the 4 bytes behind.
    uint32_t packed[3];
    std::memcpy(packed, b + 96, sizeof packed);
    uint32_t fours[4];
    for (int g = 0; g < 4; ++g)
      fours[g] = (packed[g % 2] >> (g / 2 * 4) & 0x0f0f0f0f) | (packed[2] >> (2 * g) & 0x03030303) << 4;
    std::memcpy(s.factor, fours, sizeof fours);
    for (int8_t& factor : s.factor) factor = static_cast<int8_t>(factor - 32);
  }
  static HWY_INLINE void Numbers(const uint8_t* HWY_RESTRICT b, int piece, int8_t* HWY_RESTRICT q) {
    EachByte(q, [&](const auto& load) {
      const Byte low = BitsFrom(load(b + 32 + piece / 4 * 32), piece % 4 * 2, 3);
      return Less(Either(low, Upwards(BitsFrom(load(b), piece, 1), 2)), 4);
    });
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
  static HWY_INLINE void Numbers(const uint8_t* b, int piece, int8_t* q) { NonLinearNibbles(b + 8 + piece * 16, q); }
};

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
