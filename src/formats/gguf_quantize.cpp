#include "formats/gguf_quantize.h"

#include "base/error.h"
#include "formats/quantize_blocks.h"
#include "formats/quantize_fit.h"

#include <cstring>

namespace ingrain::formats {
namespace {

constexpr int kInBlock = 32;  // numbers of a block of the small types

void quantize_q8_0(const float* x, uint8_t* block) {
  float most = 0;
  for (int i = 0; i < kInBlock; ++i) most = std::max(most, std::abs(x[i]));
  const float d = put_half(block, most / 127), inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < kInBlock; ++i) block[2 + i] = static_cast<uint8_t>(WholeLevels<-127, 127>::level(x[i] * inverse));
}

/// Numbers of 4 bits: the first half of them low, the others high.
void put_nibbles(const uint8_t* codes, uint8_t* out) {
  for (int i = 0; i < 16; ++i) out[i] = static_cast<uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

void put_fifth_bits(const uint8_t* codes, uint8_t* out) {
  uint32_t bits = 0;
  for (int i = 0; i < kInBlock; ++i) bits |= static_cast<uint32_t>(codes[i] >> 4) << i;
  std::memcpy(out, &bits, sizeof bits);
}

/// A scale alone: writes d, gives the codes.
template <class Levels>
void quantize_scaled(const float* x, uint8_t* block, uint8_t* codes) {
  float w[kInBlock];
  importance(x, kInBlock, w);
  const float d = put_half(block, fitted_scale<Levels>(x, w, kInBlock)), inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < kInBlock; ++i) codes[i] = static_cast<uint8_t>(Levels::code(Levels::level(x[i] * inverse)));
}

/// A scale and a least number.
void quantize_line(const float* x, int most, uint8_t* block, uint8_t* codes) {
  float w[kInBlock];
  importance(x, kInBlock, w);
  const ScaleAndLeast line = fitted_line(x, w, kInBlock, most, /*no_more=*/false);
  const float d = put_half(block, line.scale), least = put_half(block + 2, line.least), inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < kInBlock; ++i)
    codes[i] = static_cast<uint8_t>(std::clamp(nearest_integer((x[i] - least) * inverse), 0, most));
}

void quantize_q4_0(const float* x, uint8_t* block) {
  uint8_t codes[kInBlock];
  quantize_scaled<WholeLevels<-8, 7>>(x, block, codes);
  put_nibbles(codes, block + 2);
}

void quantize_q5_0(const float* x, uint8_t* block) {
  uint8_t codes[kInBlock];
  quantize_scaled<WholeLevels<-16, 15>>(x, block, codes);
  put_fifth_bits(codes, block + 2);
  put_nibbles(codes, block + 6);
}

void quantize_q4_1(const float* x, uint8_t* block) {
  uint8_t codes[kInBlock];
  quantize_line(x, 15, block, codes);
  put_nibbles(codes, block + 4);
}

void quantize_q5_1(const float* x, uint8_t* block) {
  uint8_t codes[kInBlock];
  quantize_line(x, 31, block, codes);
  put_fifth_bits(codes, block + 4);
  put_nibbles(codes, block + 8);
}

void quantize_iq4_nl(const float* x, uint8_t* block) {
  uint8_t codes[kInBlock];
  quantize_scaled<NonLinearLevels>(x, block, codes);
  put_nibbles(codes, block + 2);
}

using QuantizeBlock = void (*)(const float* x, uint8_t* block);

QuantizeBlock block_quantizer(GgufType type) {
  switch (type) {
    case GgufType::Q8_0: return quantize_q8_0;
    case GgufType::Q4_0: return quantize_q4_0;
    case GgufType::Q4_1: return quantize_q4_1;
    case GgufType::Q5_0: return quantize_q5_0;
    case GgufType::Q5_1: return quantize_q5_1;
    case GgufType::IQ4_NL: return quantize_iq4_nl;
    case GgufType::Q2_K: return quantize_q2_k;
    case GgufType::Q3_K: return quantize_q3_k;
    case GgufType::Q4_K: return quantize_q4_k;
    case GgufType::Q5_K: return quantize_q5_k;
    case GgufType::Q6_K: return quantize_q6_k;
    case GgufType::IQ4_XS: return quantize_iq4_xs;
    default: return nullptr;
  }
}

void put_native(GgufType type, std::span<const float> x, uint8_t* out) {
  if (type == GgufType::F32) {
    std::memcpy(out, x.data(), x.size_bytes());
    return;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const bool half = type == GgufType::F16;
    const uint16_t bits = half ? float_to_half(x[i]) : float_to_bfloat16(x[i]);
    require(half ? is_finite_half(bits) : std::isfinite(bfloat16_to_float(bits)),
            "a weight is beyond what {} holds: {}; choose {}", half ? "f16" : "bf16", x[i],
            half ? "bf16 or f32" : "f32");
    std::memcpy(out + 2 * i, &bits, sizeof bits);
  }
}

}  // namespace

float put_half(uint8_t* at, float x) {
  const uint16_t bits = float_to_half(x);
  const float rounded = half_to_float(bits);
  require(std::isfinite(rounded), "a weight is beyond what the type holds (its scale would be {}); choose bf16 or f32",
          x);
  std::memcpy(at, &bits, sizeof bits);
  return rounded;
}

bool can_quantize(GgufType type) { return is_native(type) || block_quantizer(type); }

void quantize(GgufType type, std::span<const float> x, uint8_t* out) {
  if (is_native(type)) return put_native(type, x, out);
  const auto info = gguf_type_info(static_cast<uint32_t>(type));
  const QuantizeBlock quantize_block = block_quantizer(type);
  require(info && quantize_block, "type {} cannot be made, only read", info ? info->name : "of no name");
  require(x.size() % info->block_elements == 0, "{} numbers are no whole blocks of {}", x.size(), info->name);
  for (size_t i = 0; i < x.size(); i += info->block_elements, out += info->block_bytes)
    quantize_block(x.data() + i, out);
}

}  // namespace ingrain::formats
