// Quantized matrices as tensors: what they are made of, from weights and files, and back.
#include "ops/graph/parallel.h"
#include "ops/quantized/narrow.h"
#include "ops/quantized/quantized.h"

#include "base/error.h"
#include "base/half.h"

#include <ATen/OpaqueTensorImpl.h>

#include <algorithm>
#include <cstring>

namespace ingrain::ops {
namespace {

using QuantizedHandle = std::shared_ptr<const std::vector<QuantizedRows>>;
using QuantizedImpl = at::OpaqueTensorImpl<QuantizedHandle>;

/// Of a matrix that is quantized.
std::span<const QuantizedRows> parts_of(const Tensor& quantized) {
  const auto parts = quantized_parts(quantized);
  TORCH_CHECK(!parts.empty(), "a matrix of ", quantized.scalar_type(), " ", quantized.sizes(),
              " is not a quantized one");
  return parts;
}

/// run(group, its first row among all, its format and place), for every group that has one of the rows.
template <class Run>
void for_each_group(const Tensor& quantized, int64_t first, int64_t count, const Run& run) {
  const int64_t K = quantized.size(1), end = first + count;
  int64_t part_first = 0;
  for (const QuantizedRows& part : parts_of(quantized)) {
    const int64_t rows = part.bytes.size(0), group = part.format->rows, size = row_bytes(*part.format, K) * group;
    const int64_t from = std::max(first - part_first, int64_t{0}) / group,
                  to = (std::clamp(end - part_first, int64_t{0}, rows) + group - 1) / group;
    auto* const bytes = static_cast<char*>(part.bytes.data_ptr());
    cpu::parallel_uncaptured(std::max(to - from, int64_t{0}), cpu::grain(group * K), [&](int64_t begin, int64_t last) {
      for (int64_t g = from + begin; g < from + last; ++g)
        run(*part.format, part_first + g * group, static_cast<void*>(bytes + g * size));
    });
    part_first += rows;
  }
}

/// Rows first .. first + count as weights of `type`, fp32 or bf16.
Tensor expanded_rows(const Tensor& quantized, int64_t first, int64_t count, at::ScalarType type) {
  const int64_t K = quantized.size(1);
  const Tensor out = at::empty({count, K}, type);
  for_each_group(quantized, first, count, [&](const QuantizedFormat& format, int64_t row, const void* group) {
    const int64_t blocks = K / format.block, from = std::max(first, row),
                  rows = std::min(first + count, row + format.rows) - from, at = (from - first) * K;
    if (type == at::kFloat && rows == format.rows) return format.dequantize(group, blocks, out.data_ptr<float>() + at);
    static thread_local std::vector<float> whole;  // a group, small enough for the first cache
    whole.resize(static_cast<size_t>(format.rows * K));
    format.dequantize(group, blocks, whole.data());
    const float* const asked = whole.data() + (from - row) * K;
    if (type == at::kFloat)
      std::copy_n(asked, rows * K, out.data_ptr<float>() + at);
    else
      narrow_blocks(asked, rows * K, out.data_ptr<at::BFloat16>() + at);
  });
  return out;
}

bool is_finite_half_at(const char* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return is_finite_half(bits);
}

}  // namespace

int64_t row_bytes(const QuantizedFormat& format, int64_t columns) { return columns / format.block * format.bytes; }

Tensor quantized_matrix(std::vector<QuantizedRows> parts, int64_t columns, at::ScalarType type) {
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, "quantized matrices are for fp32 and bf16");
  int64_t rows = 0;
  for (const auto& [format, bytes] : parts) {
    TORCH_CHECK(columns % format->block == 0 && bytes.dim() == 2 && bytes.scalar_type() == at::kByte &&
                    bytes.is_cpu() && bytes.is_contiguous() && bytes.size(0) % format->rows == 0 &&
                    bytes.size(1) == row_bytes(*format, columns),
                "bytes ", bytes.sizes(), " are no rows of ", columns, " weights in ", format->name);
    rows += bytes.size(0);
  }
  TORCH_CHECK(!parts.empty(), "a quantized matrix has rows");
  return at::detail::make_tensor<QuantizedImpl>(
      at::DispatchKeySet(at::DispatchKey::CPU), at::scalarTypeToTypeMeta(type), at::Device(at::kCPU),
      std::make_shared<const std::vector<QuantizedRows>>(std::move(parts)), at::IntArrayRef{rows, columns});
}

std::span<const QuantizedRows> quantized_parts(const Tensor& w) {
  const auto* const impl = w.defined() ? dynamic_cast<const QuantizedImpl*>(w.unsafeGetTensorImpl()) : nullptr;
  return impl ? std::span<const QuantizedRows>(*impl->opaque_handle()) : std::span<const QuantizedRows>();
}

const QuantizedFormat* quantized_format(const Tensor& w) {
  const auto parts = quantized_parts(w);
  const auto same = [&](const QuantizedRows& part) { return part.format == parts[0].format; };
  return !parts.empty() && std::ranges::all_of(parts, same) ? parts[0].format : nullptr;
}

int64_t bytes_in_memory(const Tensor& w) {
  if (!is_quantized(w)) return static_cast<int64_t>(w.nbytes());
  int64_t bytes = 0;
  for (const QuantizedRows& part : quantized_parts(w)) bytes += part.bytes.numel();
  return bytes;
}

bool can_quantize(at::IntArrayRef sizes_NK, const QuantizedFormat& format) {
  return format.quantize && sizes_NK.size() == 2 && sizes_NK[0] % format.rows == 0 && sizes_NK[1] % format.block == 0;
}

Tensor quantize(const Tensor& w_NK, const QuantizedFormat& format) {
  TORCH_CHECK(can_quantize(w_NK.sizes(), format) && w_NK.is_cpu(), "weights ", w_NK.sizes(), " on ", w_NK.device(),
              " cannot be quantized as ", format.name, ": that is in blocks of ", format.block, " and groups of ",
              format.rows, " rows, on the CPU");
  const int64_t N = w_NK.size(0), K = w_NK.size(1);
  const Tensor bytes = at::empty({N, row_bytes(format, K)}, at::kByte);
  const Tensor out =
      quantized_matrix({{&format, bytes}}, K, w_NK.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat);
  quantize_into(out, w_NK);
  return out;
}

void quantize_into(const Tensor& quantized, const Tensor& w_NK) {
  const int64_t N = w_NK.size(0), K = w_NK.size(1);
  TORCH_CHECK(quantized.sizes() == w_NK.sizes(), "weights ", w_NK.sizes(), " do not fit ", quantized.sizes());
  const Tensor w = w_NK.detach().to(at::kFloat).contiguous();
  const float largest = w.numel() == 0 ? 0 : w.abs().max().item<float>();
  for (const QuantizedRows& part : parts_of(quantized))
    require(largest <= part.format->largest,
            "a matrix of {} x {} has a weight of {}, and {} ends at {}; leave the weights native", N, K, largest,
            part.format->name, part.format->largest);
  const float* const from = w.const_data_ptr<float>();
  for_each_group(quantized, 0, N, [&](const QuantizedFormat& format, int64_t row, void* group) {
    format.quantize(from + row * K, K / format.block, group);
  });
}

bool take_rows(const Tensor& quantized, size_t part, int64_t first, int64_t count, const void* rows) {
  const auto& [format, bytes] = parts_of(quantized)[part];
  TORCH_CHECK(first >= 0 && count >= 0 && first + count <= bytes.size(0) && first % format->rows == 0 &&
                  count % format->rows == 0,
              "rows ", first, " to ", first + count, " of ", bytes.size(0), " are no whole groups of ", format->rows);
  const int64_t K = quantized.size(1), blocks = K / format->block, group = format->rows * row_bytes(*format, K);
  const char* const from = static_cast<const char*>(rows);
  auto* const to = static_cast<char*>(bytes.data_ptr()) + first / format->rows * group;
  std::atomic<bool> finite = true;
  cpu::parallel_uncaptured(count / format->rows, cpu::grain(format->rows * K), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      if (format->take)
        format->take(from + g * group, blocks, to + g * group);
      else
        std::memcpy(to + g * group, from + g * group, static_cast<size_t>(group));
      for (int64_t b = 0; b < blocks * format->rows; ++b) {
        const char* const block = from + g * group + b * format->bytes;
        for (const int at : {format->scale_at, format->other_scale_at})
          if (at >= 0 && !is_finite_half_at(block + at)) finite = false;
        if (format->finite && !format->finite(reinterpret_cast<const uint8_t*>(block))) finite = false;
      }
    }
  });
  return finite;
}

Tensor dequantize(const Tensor& quantized) {
  parts_of(quantized);
  return dequantize_rows(quantized, 0, quantized.size(0));
}

Tensor dequantize_rows(const Tensor& quantized, int64_t first, int64_t count) {
  parts_of(quantized);
  TORCH_CHECK(first >= 0 && count >= 0 && first + count <= quantized.size(0), "rows ", first, " to ", first + count,
              " of a matrix ", quantized.sizes());
  return expanded_rows(quantized, first, count, at::kFloat);
}

Tensor quantized_lookup(const Tensor& quantized, const Tensor& token) {
  const int64_t N = quantized.size(0), K = quantized.size(1);
  const Tensor ids = token.contiguous();
  std::vector<int64_t> sizes = token.sizes().vec();
  sizes.push_back(K);
  const Tensor out = at::empty(sizes, quantized.options());
  std::vector<float> group;
  for (int64_t i = 0; i < ids.numel(); ++i) {
    int64_t row = ids.const_data_ptr<int64_t>()[i];
    TORCH_CHECK(row >= 0 && row < N, "a table of ", N, " rows has no row ", row);
    const auto* part = parts_of(quantized).data();
    for (; row >= part->bytes.size(0); ++part) row -= part->bytes.size(0);
    const QuantizedFormat& format = *part->format;
    group.resize(static_cast<size_t>(format.rows * K));
    const int64_t first = row / format.rows * format.rows;
    format.dequantize(static_cast<const char*>(part->bytes.const_data_ptr()) + first * row_bytes(format, K),
                      K / format.block, group.data());
    const float* const from = group.data() + (row - first) * K;
    if (out.scalar_type() == at::kFloat)
      std::copy_n(from, K, out.data_ptr<float>() + i * K);
    else
      std::copy_n(from, K, out.data_ptr<c10::BFloat16>() + i * K);
  }
  return out;
}

Tensor rows_of(const Tensor& w, int64_t first, int64_t count) {
  if (!is_quantized(w)) return w.narrow(0, first, count);
  std::vector<QuantizedRows> parts;
  int64_t part_first = 0;
  for (const auto& [format, bytes] : quantized_parts(w)) {
    const int64_t from = std::max(first - part_first, int64_t{0}),
                  to = std::min(first + count - part_first, bytes.size(0));
    if (from < to) {
      TORCH_CHECK(from % format->rows == 0 && to % format->rows == 0, "rows ", from, " to ", to,
                  " are no whole groups of ", format->rows);
      parts.push_back({format, bytes.narrow(0, from, to - from)});
    }
    part_first += bytes.size(0);
  }
  return quantized_matrix(std::move(parts), w.size(1), w.scalar_type());
}

void for_each_tile(const Tensor& quantized, at::ScalarType type,
                   const std::function<void(int64_t first, const Tensor& w)>& tile) {
  constexpr int64_t kTileBytes = int64_t{4} << 20;
  const int64_t N = quantized.size(0), row = quantized.size(1) * static_cast<int64_t>(at::elementSize(type));
  const int64_t rows = std::max<int64_t>(kTileBytes / std::max<int64_t>(row, 1) / 16 * 16, 16);
  for (int64_t first = 0; first < N; first += rows)
    tile(first, expanded_rows(quantized, first, std::min(rows, N - first), type));
}

}  // namespace ingrain::ops
