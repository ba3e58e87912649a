#include "ops/memory/arena.h"

#include <ATen/ops/from_blob.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace ingrain::ops::cpu {
namespace {

constexpr int64_t kBoundary = 64, kHugePage = int64_t{2} << 20;

int64_t rounded_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

}  // namespace

int64_t Arena::bytes_of(at::IntArrayRef sizes, at::ScalarType type) {
  return rounded_up(c10::multiply_integers(sizes) * static_cast<int64_t>(c10::elementSize(type)), kBoundary);
}

#ifdef __linux__
namespace {

/// Fresh memory from the system: what malloc hands out again keeps the small pages that it has.
Tensor fresh_huge_pages(int64_t bytes) {
  const int64_t whole = rounded_up(bytes, kHugePage) + kHugePage;
  void* const start =
      mmap(nullptr, static_cast<size_t>(whole), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return {};
  const int64_t skip = rounded_up(reinterpret_cast<intptr_t>(start), kHugePage) - reinterpret_cast<intptr_t>(start);
  madvise(static_cast<char*>(start) + skip, static_cast<size_t>(whole - kHugePage), MADV_HUGEPAGE);  // a wish
  const auto unmap = [start, whole](void*) { munmap(start, static_cast<size_t>(whole)); };
  return at::from_blob(static_cast<char*>(start) + skip, {bytes}, unmap, at::kByte);
}

}  // namespace

Arena::Arena(int64_t bytes) : memory_(bytes >= kHugePage ? fresh_huge_pages(bytes) : Tensor()) {
  if (!memory_.defined()) memory_ = at::empty({bytes}, at::kByte);
}
#else
Arena::Arena(int64_t bytes) : memory_(at::empty({bytes}, at::kByte)) {}
#endif

Tensor Arena::take(at::IntArrayRef sizes, at::ScalarType type) {
  const int64_t bytes = bytes_of(sizes, type);
  TORCH_CHECK(used_ + bytes <= memory_.numel(), "an arena of ", memory_.numel(), " bytes has no room for ", bytes,
              " more");
  void* const at = static_cast<char*>(memory_.data_ptr()) + used_;
  used_ += bytes;
  return at::from_blob(at, sizes, [keep = memory_](void*) {}, at::TensorOptions(type));
}

std::vector<Tensor> empty_side_by_side(const std::vector<Shape>& shapes) {
  int64_t bytes = 0;
  for (const Shape& shape : shapes) bytes += Arena::bytes_of(shape.sizes, shape.type);
  Arena arena(bytes);
  std::vector<Tensor> out;
  for (const Shape& shape : shapes) out.push_back(arena.take(shape.sizes, shape.type));
  return out;
}

}  // namespace ingrain::ops::cpu
