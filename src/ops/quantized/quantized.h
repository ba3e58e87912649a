// Matrices in few bits a weight. Decoding is bound by reading weights, and these take 36 or 20 bytes for 32.
#pragma once

#include "ops/dual.h"

#include <string_view>

namespace ingrain::ops {

/// Weights in a block: they lie beside each other in a row and share a scale. A row's length must be a multiple of it.
inline constexpr int64_t kQuantizedBlock = 32;

/// A product with rows of a that are rounded to 16 bits a number, with a scale per block.
struct QuantizedCall {
  at::ScalarType type;
  int64_t m, n, blocks;          // blocks of a row
  bool by_block;                 // a, its scales and sums lie block after block, not row after row
  const int16_t* a;              // [m, blocks, 32] or, by block, [blocks, m, 32]
  const float *a_scale, *a_sum;  // [m, blocks] or [blocks, m]; a_sum: of a block's numbers, times their scale
  const void* w;
  void* c;  // [m, n] of type
};

/// How weights are quantized. `rows` rows, a group, are quantized together: a matrix has whole groups.
struct QuantizedFormat {
  std::string_view name;
  at::ScalarType type;  // of its tensors, [N, bytes K / 32]: what they are known by, as no other matrix has that type
  int64_t rows, bytes;  // of a group; of a block
  float largest;        // magnitude of a weight that it can hold
  int64_t many_rows;    // of a, from which on multiply() wants them by block
  void (*quantize)(const float* w, int64_t blocks, void* group);
  void (*dequantize)(const void* group, int64_t blocks, float* w);
  void (*multiply)(const QuantizedCall& call, int64_t begin, int64_t end);  // with groups begin .. end
};

/// weight = scale * q, q in -127 .. 127, scale (fp32) = the block's largest magnitude / 127.
extern const QuantizedFormat q8_0;
/// weight = scale * q + least, q in 0 .. 15, scale = (the block's most - its least) / 15, both fp16. A GGUF file's
/// Q4_1 comes back exactly where a block's numbers reach from 0 to 15. In groups of 16 rows.
extern const QuantizedFormat q4_1;
inline constexpr const QuantizedFormat* kQuantizedFormats[] = {&q8_0, &q4_1};

/// The format of a quantized matrix; nullptr for any other.
const QuantizedFormat* quantized_format(const Tensor& w);

/// Whether a matrix of these sizes has whole blocks and groups.
bool can_quantize(at::IntArrayRef sizes_NK, const QuantizedFormat& format);
/// w: finite, on the CPU. Throws c10::Error unless can_quantize(), Error where a weight is beyond what the format
/// holds.
Tensor quantize(const Tensor& w_NK, const QuantizedFormat& format);

/// The weights that a quantized matrix stands for, [N, K] fp32. Throws c10::Error where it is no quantized one.
Tensor dequantize(const Tensor& quantized);

/// a wᵀ, [M, N], like a; a: [M, K], fp32 or bf16. The product with the dequantized weights, with a rounded to 16 bits a
/// number and a scale per block of 32: whole numbers are multiplied twice as fast as fp32, and what that rounding moves
/// is a hundredth of what eight bits did to the weights. Throws c10::Error where shapes or types do not fit. A row's
/// result does not depend on the other rows, nor, to the last bit, on how many there are, in Q4_1; in Q8_0 up to the
/// order of sums, which is one up to 8 rows and another above.
Tensor quantized_nt(const Tensor& a_MK, const Tensor& quantized);

}  // namespace ingrain::ops
