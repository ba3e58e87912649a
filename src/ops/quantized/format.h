// A format of few bits a weight: how its blocks lie in memory, and the functions that know. Without libtorch's tensors.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

namespace ingrain::ops {

/// Numbers of an activation's row that are rounded together, with a scale of their own. A row's length must be a
/// multiple of it.
inline constexpr int64_t kQuantizedBlock = 32;

/// A product with rows of a that are rounded to 16 bits a number, with a scale per block.
struct QuantizedCall {
  c10::ScalarType type;
  int64_t m, n, blocks;          // n: how far rows of c are apart; blocks of a row of a
  bool by_block;                 // a, its scales and sums lie block after block, not row after row
  const int16_t* a;              // [m, blocks, 32] or, by block, [blocks, m, 32]
  const float *a_scale, *a_sum;  // [m, blocks] or [blocks, m]; a_sum: of a block's numbers, times their scale
  const void* w;
  void* c;  // [m, rows of w] of type
};

/// How weights are quantized. `rows` rows, a group, are quantized together: a matrix has whole groups.
struct QuantizedFormat {
  std::string_view name;
  int64_t rows;          // of a group
  int64_t block, bytes;  // weights of a row that share a scale, a multiple of kQuantizedBlock; what they take
  float largest;         // magnitude of a weight that it can hold
  int64_t many_rows;     // of a, from which on multiply() wants them by block
  void (*quantize)(const float* w, int64_t blocks, void* group);  // null: such weights come from files alone
  void (*dequantize)(const void* group, int64_t blocks, float* w);
  void (*multiply)(const QuantizedCall& call, int64_t begin, int64_t end);  // with groups begin .. end
  /// A group of rows as a GGUF file has them. Null: the same bytes.
  void (*take)(const void* rows, int64_t blocks, void* group) = nullptr;
  /// Where a file's block has its fp16 scales; -1: no other.
  int scale_at = -1, other_scale_at = -1;
  /// Whether a file's block has finite weights, where its scale is no half precision number in one place. Null
  /// elsewhere.
  bool (*finite)(const uint8_t* block) = nullptr;
};

/// weight = scale * q, q in -127 .. 127, scale (fp32) = the block's largest magnitude / 127.
extern const QuantizedFormat q8_0;
/// weight = scale * q + least, q in 0 .. 15, scale = (the block's most - its least) / 15, both fp16. A GGUF file's
/// Q4_1 comes back exactly where a block's numbers reach from 0 to 15. In groups of 16 rows.
extern const QuantizedFormat q4_1;
/// What quantize() makes.
inline constexpr const QuantizedFormat* kQuantizedFormats[] = {&q8_0, &q4_1};

/// The format in which a GGUF file's tensor of this type (the file's number) and so many rows is kept, its weights
/// being what gguf-py's dequantization gives, to the last bit. Null: there is none.
const QuantizedFormat* format_of_file(uint32_t type, int64_t rows);

}  // namespace ingrain::ops
