// Matrices in few bits a weight. Decoding is bound by reading weights, and these take 36 or 20 bytes for 32, or what a
// GGUF file has for them.
//
// Such a matrix is a tensor of its own sizes [N, K] and of the type in which it is computed with, but without numbers
// in memory: only what is declared here, and the operations that name it, can read it (libtorch's throw). So it stands
// wherever a matrix of weights does.
#pragma once

#include "ops/dual.h"
#include "ops/quantized/format.h"

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace ingrain::ops {

/// Rows of a matrix that lie in one format. bytes: [rows, bytes of a row], uint8, contiguous.
struct QuantizedRows {
  const QuantizedFormat* format;
  Tensor bytes;
};
/// The bytes of so many columns.
int64_t row_bytes(const QuantizedFormat& format, int64_t columns);
/// A matrix of these rows, from the first on. type: fp32 or bf16. Throws c10::Error for what is no whole matrix.
Tensor quantized_matrix(std::vector<QuantizedRows> parts, int64_t columns, at::ScalarType type);
/// What a quantized matrix is made of; nothing for any other tensor.
std::span<const QuantizedRows> quantized_parts(const Tensor& w);
inline bool is_quantized(const Tensor& w) { return !quantized_parts(w).empty(); }
/// The format of all its rows; nullptr where there are several, and for any other tensor.
const QuantizedFormat* quantized_format(const Tensor& w);
/// What a matrix, quantized or not, takes in memory.
int64_t bytes_in_memory(const Tensor& w);

/// Whether a matrix of these sizes has whole blocks and groups, and the format can be made.
bool can_quantize(at::IntArrayRef sizes_NK, const QuantizedFormat& format);
/// w: finite, on the CPU; the result is of its type, fp32 for fp64. Throws c10::Error unless can_quantize(), Error
/// where a weight is beyond what the format holds.
Tensor quantize(const Tensor& w_NK, const QuantizedFormat& format);
/// The same into a quantized matrix of these sizes that is there.
void quantize_into(const Tensor& quantized, const Tensor& w_NK);
/// A GGUF file's rows into rows first .. first + count of part `part` of a quantized matrix, whose format is
/// format_of_file(). Returns whether all weights are finite. Throws c10::Error for rows that are no whole groups of the
/// part. REQUIRES: `rows` has as many.
bool take_rows(const Tensor& quantized, size_t part, int64_t first, int64_t count, const void* rows);

/// The weights that a quantized matrix stands for, [N, K] fp32; or `count` of its rows. Throws c10::Error where it is
/// no quantized one.
Tensor dequantize(const Tensor& quantized);
Tensor dequantize_rows(const Tensor& quantized, int64_t first, int64_t count);
/// The rows of the tokens (int64), [..., K], in the matrix's type.
Tensor quantized_lookup(const Tensor& quantized, const Tensor& token);
/// Rows first .. first + count of a matrix, quantized or not, without a copy. Throws c10::Error where they begin or
/// end within a group.
Tensor rows_of(const Tensor& w, int64_t first, int64_t count);

/// a wᵀ, [M, N], like a; a: [M, K], fp32 or bf16. The product with the dequantized weights, with a rounded to 16 bits a
/// number and a scale per block of 32: whole numbers are multiplied twice as fast as fp32, and what that rounding moves
/// is a hundredth of what eight bits did to the weights. Throws c10::Error where shapes or types do not fit. A row's
/// result does not depend on the other rows, nor, to the last bit, on how many there are, in Q4_1; in Q8_0 up to the
/// order of sums, which is one up to 8 rows and another above.
Tensor quantized_nt(const Tensor& a_MK, const Tensor& quantized);

/// Up to so many rows of a product with a quantized matrix are multiplied as whole numbers; more meet its rows tile by
/// tile, expanded to their own type in cache.
inline constexpr int64_t kFewRowsOfQuantized = 64;
/// tile(first, w): the matrix's rows from `first` on in `type`, fp32 or bf16, so many at once as fit into the cache.
void for_each_tile(const Tensor& quantized, at::ScalarType type,
                   const std::function<void(int64_t first, const Tensor& w)>& tile);

}  // namespace ingrain::ops
