// Pages for tensors that are kept long: not the allocator's, which would be left with holes.
#pragma once

#include "ops/aten.h"

#include <cstdint>
#include <filesystem>
#include <memory>

namespace ingrain::ttt {

/// Where a tensor of so many bytes ends, for the next one. Libraries' products round otherwise where numbers lie
/// otherwise: all memories' tensors lie so.
constexpr uint64_t aligned(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

/// Tensors on the CPU, one after the other in one mapping, which goes with the last of them.
class PagePlace {
 public:
  /// REQUIRES: bytes is the sum of aligned(nbytes) of all that is copied. Error where the system has no more.
  explicit PagePlace(uint64_t bytes);
  at::Tensor copy(const at::Tensor& x);
  /// A tensor to be filled.
  at::Tensor room(at::IntArrayRef sizes, at::ScalarType type);

 private:
  std::shared_ptr<char> pages_;
  uint64_t used_ = 0;
};

/// Tensors in a part of a file, in the file's own pages: nothing is copied before it is written to, and what is written
/// changes no file. The mapping goes with the last of them; it outlives the file's name. Whoever
/// shortens the file ends the process: for files that are replaced and removed, never written to.
class FilePages {
 public:
  /// Bytes begin .. end - 1 of a file of `size`. Error where they cannot be mapped, or it is no file of this size (any
  /// more). REQUIRES: begin < end <= size.
  FilePages(const std::filesystem::path& path, uint64_t size, uint64_t begin, uint64_t end);
  /// The tensor at this byte of the file. REQUIRES: it lies within the part, aligned to its type.
  at::Tensor view(uint64_t at, at::IntArrayRef sizes, at::ScalarType type) const;

 private:
  std::shared_ptr<char> pages_;
  uint64_t begin_;  // in the file
};

}  // namespace ingrain::ttt
