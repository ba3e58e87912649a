// GGUF's types whose numbers stand in a table or in base three: where a block has its scales and its numbers. A type is
// a struct; expanding (formats/gguf_quants.cpp) and multiplying (ops/quantized/stored.cpp) follow from it. Every weight
// is a whole number times a scale, exactly: what a type adds to its numbers (IQ1's eighths, IQ2's halves) is in both.
#pragma once

#include "base/codebooks.h"
#include "base/half.h"

#include <bit>
#include <cstring>

namespace ingrain {

/// What the weights of a block share, for each 32 of them, a piece: weight = scale * number + least. In types with
/// factors, each half of a piece has its own: weight = scale * factor * number - least * factor_of_least.
struct BlockScales {
  float scale[8], least[8];
  int8_t factor[16], factor_of_least[16];
};

namespace codebook_blocks {

template <class T>
inline T load(const uint8_t* at) {
  T out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

inline float half_at(const uint8_t* at) { return half_to_float(load<uint16_t>(at)); }

/// A codebook's entry with the signs that bits say, a bit an element.
template <size_t kElements>
inline void signed_entry(const std::array<int8_t, kElements>& entry, unsigned signs, int8_t* q) {
  for (size_t i = 0; i < kElements; ++i) q[i] = static_cast<int8_t>(signs >> i & 1 ? -entry[i] : entry[i]);
}

/// Seven signs say the eighth: their number is even.
inline unsigned even_signs(unsigned seven) {
  seven &= 127;
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}

template <int kElements, int kSize, bool kHasFactors>
struct Block {
  static constexpr int64_t kBlock = kElements, kBytes = kSize;
  static constexpr bool kLeast = false, kFactors = kHasFactors, kLeastFactors = false;
};

/// Of 256 weights whose half-precision scale lies at kAt.
template <int kSize, int kAt, bool kHasFactors>
struct SuperBlock : Block<256, kSize, kHasFactors> {
  static inline bool Finite(const uint8_t* b) { return is_finite_half(load<uint16_t>(b + kAt)); }
};

/// A byte is the scale's exponent; half of it, as the numbers are doubled.
struct MXFP4 : Block<32, 17, false> {
  static inline bool Finite(const uint8_t* b) { return b[0] <= 252; }  // times 12
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    const uint32_t e = b[0];
    s.scale[0] = std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
  }
  static inline void Numbers(const uint8_t* b, int, int8_t* q) {
    for (int i = 0; i < 16; ++i) {
      q[i] = kFp4[b[1 + i] & 15];
      q[i + 16] = kFp4[b[1 + i] >> 4];
    }
  }
};

template <int kSize>
struct Ternary : SuperBlock<kSize, kSize - 2, false> {
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    const float d = half_at(b + kSize - 2);
    for (float& scale : s.scale) scale = d;
  }
};

/// Five numbers of 0, 1, 2 in a byte, as the digits of a fraction: 32 bytes hold 160, 16 hold 80; of the last 16 there
/// are four in a byte.
struct TQ1_0 : Ternary<54> {
  static inline int8_t Digit(uint8_t byte, int place) {
    constexpr uint8_t kPower[] = {1, 3, 9, 27, 81};
    const auto rest = static_cast<uint8_t>(byte * kPower[place]);
    return static_cast<int8_t>((rest * 3 >> 8) - 1);
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int i = 0; i < 32; ++i) {
      const int at = piece * 32 + i;
      if (at < 160)
        q[i] = Digit(b[at % 32], at / 32);
      else if (at < 240)
        q[i] = Digit(b[32 + at % 16], (at - 160) / 16);
      else
        q[i] = Digit(b[48 + at % 4], (at - 240) / 4);
    }
  }
};

/// Two bits a number: 32 bytes hold four pieces.
struct TQ2_0 : Ternary<66> {
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>((b[piece / 4 * 32 + i] >> (piece % 4 * 2) & 3) - 1);
  }
};

/// d; for each piece four bytes that number entries, then four signs of 7 bits and a scale s: d (s + 1/2) / 4.
struct IQ2_XXS : SuperBlock<66, 0, false> {
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    for (int j = 0; j < 8; ++j)
      s.scale[j] = half_at(b) * (0.5f + static_cast<float>(load<uint32_t>(b + 6 + 8 * j) >> 28)) * 0.25f;
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    const uint8_t* const from = b + 2 + 8 * piece;
    const auto signs = load<uint32_t>(from + 4);
    for (int k = 0; k < 4; ++k) signed_entry(kIq2xxs[from[k]], even_signs(signs >> (7 * k)), q + 8 * k);
  }
};

/// Scales of 4 bits for each 16 weights: d (s + 1/2) / 4 is an odd number of eighths of d.
inline void scales_of_halves(float d, const uint8_t* nibbles, BlockScales& s) {
  for (float& scale : s.scale) scale = d * 0.125f;
  for (int k = 0; k < 16; ++k) s.factor[k] = static_cast<int8_t>(2 * (nibbles[k / 2] >> (k % 2 * 4) & 15) + 1);
}

/// d; for each 8 weights 9 bits that number an entry and 7 of signs; the scales.
struct IQ2_XS : SuperBlock<74, 0, true> {
  static inline void Scales(const uint8_t* b, BlockScales& s) { scales_of_halves(half_at(b), b + 66, s); }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int k = 0; k < 4; ++k) {
      const auto bits = load<uint16_t>(b + 2 + 2 * (4 * piece + k));
      signed_entry(kIq2xs[bits & 511], even_signs(bits >> 9), q + 8 * k);
    }
  }
};

/// d; 32 bytes of entries, 32 of signs, 8 with the entries' upper two bits; the scales.
struct IQ2_S : SuperBlock<82, 0, true> {
  static inline void Scales(const uint8_t* b, BlockScales& s) { scales_of_halves(half_at(b), b + 74, s); }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int k = 0; k < 4; ++k) {
      const int at = 4 * piece + k, entry = b[2 + at] | (b[66 + piece] >> (2 * k) & 3) << 8;
      signed_entry(kIq2s[static_cast<size_t>(entry)], b[34 + at], q + 8 * k);
    }
  }
};

/// d; 64 bytes of entries; for each piece four signs of 7 bits and a scale s: d (s + 1/2) / 2.
struct IQ3_XXS : SuperBlock<98, 0, false> {
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    for (int j = 0; j < 8; ++j)
      s.scale[j] = half_at(b) * (0.5f + static_cast<float>(load<uint32_t>(b + 66 + 4 * j) >> 28)) * 0.5f;
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    const auto signs = load<uint32_t>(b + 66 + 4 * piece);
    for (int k = 0; k < 8; ++k)
      signed_entry(kIq3xxs[b[2 + 8 * piece + k]], even_signs(signs >> (k / 2 * 7)) >> (k % 2 * 4), q + 4 * k);
  }
};

/// d; 64 bytes of entries, 8 with their ninth bits, 32 of signs; scales s of 4 bits for each piece: d (2 s + 1).
struct IQ3_S : SuperBlock<110, 0, false> {
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    for (int j = 0; j < 8; ++j)
      s.scale[j] = half_at(b) * static_cast<float>(1 + 2 * (b[106 + j / 2] >> (j % 2 * 4) & 15));
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int k = 0; k < 8; ++k) {
      const int entry = b[2 + 8 * piece + k] | (b[66 + piece] >> k & 1) << 8;
      signed_entry(kIq3s[static_cast<size_t>(entry)], b[74 + 4 * piece + k / 2] >> (k % 2 * 4), q + 4 * k);
    }
  }
};

/// An entry of IQ1, in eighths, an eighth more or less.
inline void entry_in_eighths(int entry, bool less, int8_t* q) {
  for (size_t i = 0; i < 8; ++i) q[i] = static_cast<int8_t>(8 * kIq1s[static_cast<size_t>(entry)][i] + (less ? -1 : 1));
}

/// d; 32 bytes of entries; for each piece the entries' upper three bits, a scale s of 3, d (2 s + 1), and which way the
/// eighth goes.
struct IQ1_S : SuperBlock<50, 0, false> {
  static inline unsigned Bits(const uint8_t* b, int piece) { return load<uint16_t>(b + 34 + 2 * piece); }
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    for (int j = 0; j < 8; ++j) s.scale[j] = half_at(b) * static_cast<float>(2 * (Bits(b, j) >> 12 & 7) + 1) * 0.125f;
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    const unsigned bits = Bits(b, piece);
    for (int k = 0; k < 4; ++k)
      entry_in_eighths(b[2 + 4 * piece + k] | static_cast<int>(bits >> (3 * k) & 7) << 8, bits >> 15, q + 8 * k);
  }
};

/// 32 bytes of entries, 16 with their upper three bits and which way the eighth goes, four words with four scales of 3
/// bits each, for each 16 weights, and a quarter of d atop.
struct IQ1_M : Block<256, 56, true> {
  static inline unsigned Word(const uint8_t* b, int i) { return load<uint16_t>(b + 48 + 2 * i); }
  static inline uint16_t D(const uint8_t* b) {
    unsigned out = 0;
    for (int i = 0; i < 4; ++i) out |= Word(b, i) >> 12 << (4 * i);
    return static_cast<uint16_t>(out);
  }
  static inline bool Finite(const uint8_t* b) { return is_finite_half(D(b)); }
  static inline void Scales(const uint8_t* b, BlockScales& s) {
    for (float& scale : s.scale) scale = half_to_float(D(b)) * 0.125f;
    for (int k = 0; k < 16; ++k) s.factor[k] = static_cast<int8_t>(2 * (Word(b, k / 4) >> (k % 4 * 3) & 7) + 1);
  }
  static inline void Numbers(const uint8_t* b, int piece, int8_t* q) {
    for (int k = 0; k < 4; ++k) {
      const int at = 4 * piece + k, bits = b[32 + at / 2] >> (at % 2 * 4);
      entry_in_eighths(b[at] | (bits & 7) << 8, bits & 8, q + 8 * k);
    }
  }
};

}  // namespace codebook_blocks
}  // namespace ingrain
