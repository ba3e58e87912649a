#include "formats/gguf_quants.h"

#include "base/codebook_blocks.h"
#include "base/error.h"

#include <cstring>

namespace ingrain::formats {
namespace {

constexpr int kSmall = 32;   // elements of a block of the _0 and _1 types
constexpr int kSuper = 256;  // elements of a super-block of the _K types

using codebook_blocks::load;

float load_half(const uint8_t* at) { return codebook_blocks::half_at(at); }
float load_bfloat16(const uint8_t* at) { return bfloat16_to_float(load<uint16_t>(at)); }

float load_float(const uint8_t* at) {
  float out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

// d, then 32 signed bytes: x = d q.
void expand_q8_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < kSmall; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// In the 4- and 5-bit types, byte i holds element i in its low half and element i + 16 in its high half.

void expand_q4_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int q = block[2 + i];
    out[i] = d * static_cast<float>((q & 15) - 8);
    out[i + kSmall / 2] = d * static_cast<float>((q >> 4) - 8);
  }
}

void expand_q4_1(const uint8_t* block, float* out) {
  const float d = load_half(block), least = load_half(block + 2);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int q = block[4 + i];
    out[i] = d * static_cast<float>(q & 15) + least;
    out[i + kSmall / 2] = d * static_cast<float>(q >> 4) + least;
  }
}

// The fifth bit of element i is bit i of `high`.
int five_bits(int four_bits, uint32_t high, int i) { return four_bits | static_cast<int>((high >> i) & 1) << 4; }

void expand_q5_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  const uint32_t high = load<uint32_t>(block + 2);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int q = block[6 + i];
    out[i] = d * static_cast<float>(five_bits(q & 15, high, i) - 16);
    out[i + kSmall / 2] = d * static_cast<float>(five_bits(q >> 4, high, i + kSmall / 2) - 16);
  }
}

void expand_q5_1(const uint8_t* block, float* out) {
  const float d = load_half(block), least = load_half(block + 2);
  const uint32_t high = load<uint32_t>(block + 4);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int q = block[8 + i];
    out[i] = d * static_cast<float>(five_bits(q & 15, high, i)) + least;
    out[i + kSmall / 2] = d * static_cast<float>(five_bits(q >> 4, high, i + kSmall / 2)) + least;
  }
}

struct ScaleAndMin {
  float scale, min;
};

// Twelve bytes pack eight 6-bit scales and eight 6-bit minima: the first four of each in the low six bits of
// bytes 0-3 and 4-7; of the last four, the low halves in bytes 8-11 and the upper two bits atop bytes 0-7.
ScaleAndMin unpack_scales(const uint8_t* packed, int j) {
  if (j < 4) return {static_cast<float>(packed[j] & 63), static_cast<float>(packed[j + 4] & 63)};
  return {static_cast<float>((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4),
          static_cast<float>((packed[j + 4] >> 4) | (packed[j] >> 6) << 4)};
}

// d, dmin, scales[12], quants[128]; 32 bytes hold sub-block 2p in their low halves and 2p + 1 in their high
// halves.
void expand_q4_k(const uint8_t* block, float* out) {
  const float d = load_half(block), dmin = load_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = unpack_scales(block + 4, j);
    const float step = d * scale, offset = dmin * min;
    const uint8_t* quants = block + 16 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int q = j % 2 ? quants[i] >> 4 : quants[i] & 15;
      out[j * 32 + i] = step * static_cast<float>(q) - offset;
    }
  }
}

// As above with high[32] before the quants: bit j of high[i] is the fifth bit of element i of sub-block j.
void expand_q5_k(const uint8_t* block, float* out) {
  const float d = load_half(block), dmin = load_half(block + 2);
  const uint8_t* high = block + 16;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = unpack_scales(block + 4, j);
    const float step = d * scale, offset = dmin * min;
    const uint8_t* quants = block + 48 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int low = j % 2 ? quants[i] >> 4 : quants[i] & 15;
      out[j * 32 + i] = step * static_cast<float>(low | ((high[i] >> j) & 1) << 4) - offset;
    }
  }
}

// low[128], high[64], scales[16] (signed), d. Each half of 128 elements is four runs of 32: runs 0 and 1 in
// the low halves of its 64 low bytes, 2 and 3 in the high halves; run r has its upper two bits at bit 2r of
// its 32 high bytes.
void expand_q6_k(const uint8_t* block, float* out) {
  const float d = load_half(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    const uint8_t* scales = block + 192 + half * 8;
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 32; ++i) {
        const int byte = low[run % 2 * 32 + i];
        const int q = ((run < 2 ? byte & 15 : byte >> 4) | ((high[i] >> (2 * run)) & 3) << 4) - 32;
        const float step = d * static_cast<float>(static_cast<int8_t>(scales[run * 2 + i / 16]));
        out[half * 128 + run * 32 + i] = step * static_cast<float>(q);
      }
    }
  }
}

// scales[16] with a scale in their low and a minimum in their high halves, quants[64], d, dmin; 32 bytes hold four runs
// of 32, of two bits.
void expand_q2_k(const uint8_t* block, float* out) {
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int i = 0; i < kSuper; ++i) {
    const int scales = block[i / 16], q = (block[16 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
    const float step = d * static_cast<float>(scales & 15), offset = dmin * static_cast<float>(scales >> 4);
    out[i] = step * static_cast<float>(q) - offset;
  }
}

/// Of sixteen scales of 6 bits the low halves of eight lie in eight bytes and those of the others atop them; four bytes
/// hold the upper two bits of every fourth.
float scale_of_q3_k(const uint8_t* packed, int k) {
  const int low = k < 8 ? packed[k] & 15 : packed[k - 8] >> 4, high = (packed[8 + k % 4] >> (k / 4 * 2)) & 3;
  return static_cast<float>((low | high << 4) - 32);
}

// high[32], quants[64] as above, scales[12], d: bit j of high[i] is 0 where element i of run j is 4 less.
void expand_q3_k(const uint8_t* block, float* out) {
  const float d = load_half(block + 108);
  for (int i = 0; i < kSuper; ++i) {
    const float step = d * scale_of_q3_k(block + 96, i / 16);
    const int q = (block[32 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
    out[i] = step * static_cast<float>((block[i % 32] >> (i / 32)) & 1 ? q : q - 4);
  }
}

void expand_iq4_nl(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < kSmall; ++i) {
    const int byte = block[2 + i % 16];
    out[i] = d * static_cast<float>(kNonLinear[i < 16 ? byte & 15 : byte >> 4]);
  }
}

// d, the upper two bits of eight scales, their lower four, then numbers as in IQ4_NL.
void expand_iq4_xs(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < kSuper; ++i) {
    const int j = i / 32, byte = block[8 + j * 16 + i % 16];
    const int low = (block[4 + j / 2] >> (j % 2 * 4)) & 15, high = (load<uint16_t>(block + 2) >> (2 * j)) & 3;
    const float step = d * static_cast<float>((low | high << 4) - 32);
    out[i] = step * static_cast<float>(kNonLinear[i % 32 < 16 ? byte & 15 : byte >> 4]);
  }
}

/// A block of a type of base/codebook_blocks.h.
template <class Type>
void expand_codebook(const uint8_t* block, float* out) {
  BlockScales of;
  Type::Scales(block, of);
  int8_t q[32];
  for (int piece = 0; piece < Type::kBlock / 32; ++piece) {
    Type::Numbers(block, piece, q);
    for (int i = 0; i < 32; ++i) {
      const int half = 2 * piece + i / 16;
      float scale = of.scale[piece];
      if (Type::kFactors) scale *= static_cast<float>(of.factor[half]);
      out[32 * piece + i] = scale * static_cast<float>(q[i]);
    }
  }
}

template <int kElements, int kBytes, void (*kExpand)(const uint8_t*, float*)>
void expand_blocks(const uint8_t* blocks, std::span<float> out) {
  for (size_t i = 0; i < out.size(); i += kElements, blocks += kBytes) kExpand(blocks, out.data() + i);
}

template <class Type>
void expand_codebooks(const uint8_t* blocks, std::span<float> out) {
  expand_blocks<int{Type::kBlock}, int{Type::kBytes}, expand_codebook<Type>>(blocks, out);
}

template <int kBytes, float (*kLoad)(const uint8_t*)>
void widen(const uint8_t* from, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = kLoad(from + i * kBytes);
}

}  // namespace

void dequantize(GgufType type, const uint8_t* blocks, std::span<float> out) {
  namespace codebook = codebook_blocks;
  switch (type) {
    case GgufType::F32: return widen<4, load_float>(blocks, out);
    case GgufType::F16: return widen<2, load_half>(blocks, out);
    case GgufType::BF16: return widen<2, load_bfloat16>(blocks, out);
    case GgufType::Q8_0: return expand_blocks<kSmall, 34, expand_q8_0>(blocks, out);
    case GgufType::Q4_0: return expand_blocks<kSmall, 18, expand_q4_0>(blocks, out);
    case GgufType::Q4_1: return expand_blocks<kSmall, 20, expand_q4_1>(blocks, out);
    case GgufType::Q5_0: return expand_blocks<kSmall, 22, expand_q5_0>(blocks, out);
    case GgufType::Q5_1: return expand_blocks<kSmall, 24, expand_q5_1>(blocks, out);
    case GgufType::Q2_K: return expand_blocks<kSuper, 84, expand_q2_k>(blocks, out);
    case GgufType::Q3_K: return expand_blocks<kSuper, 110, expand_q3_k>(blocks, out);
    case GgufType::Q4_K: return expand_blocks<kSuper, 144, expand_q4_k>(blocks, out);
    case GgufType::Q5_K: return expand_blocks<kSuper, 176, expand_q5_k>(blocks, out);
    case GgufType::Q6_K: return expand_blocks<kSuper, 210, expand_q6_k>(blocks, out);
    case GgufType::IQ4_NL: return expand_blocks<kSmall, 18, expand_iq4_nl>(blocks, out);
    case GgufType::IQ4_XS: return expand_blocks<kSuper, 136, expand_iq4_xs>(blocks, out);
    case GgufType::IQ1_S: return expand_codebooks<codebook::IQ1_S>(blocks, out);
    case GgufType::IQ1_M: return expand_codebooks<codebook::IQ1_M>(blocks, out);
    case GgufType::IQ2_XXS: return expand_codebooks<codebook::IQ2_XXS>(blocks, out);
    case GgufType::IQ2_XS: return expand_codebooks<codebook::IQ2_XS>(blocks, out);
    case GgufType::IQ2_S: return expand_codebooks<codebook::IQ2_S>(blocks, out);
    case GgufType::IQ3_XXS: return expand_codebooks<codebook::IQ3_XXS>(blocks, out);
    case GgufType::IQ3_S: return expand_codebooks<codebook::IQ3_S>(blocks, out);
    case GgufType::TQ1_0: return expand_codebooks<codebook::TQ1_0>(blocks, out);
    case GgufType::TQ2_0: return expand_codebooks<codebook::TQ2_0>(blocks, out);
    case GgufType::MXFP4: return expand_codebooks<codebook::MXFP4>(blocks, out);
  }
  fail("dequantize: type {} is none of GGUF's readable types", static_cast<uint32_t>(type));
}

void dequantize_rows(const GgufTensor& tensor, uint64_t first, uint64_t count, std::span<float> out) {
  const uint64_t rows = tensor.rows();
  require(first <= rows && count <= rows - first, "tensor '{}': rows {} to {} asked for, it has {}", tensor.name, first,
          first + count, rows);
  require(out.size() == count * tensor.row_length(), "tensor '{}': room for {} numbers given, {} needed", tensor.name,
          out.size(), count * tensor.row_length());
  const auto info = *gguf_type_info(static_cast<uint32_t>(tensor.type));
  const uint64_t row_bytes = tensor.row_length() / info.block_elements * info.block_bytes;
  dequantize(tensor.type, reinterpret_cast<const uint8_t*>(tensor.bytes.data()) + first * row_bytes, out);
}

}  // namespace ingrain::formats
