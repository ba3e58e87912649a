#include "ttt/memory_tensors.h"

#include "base/error.h"
#include "store/tensor_io.h"

#include <algorithm>
#include <cstring>

namespace ingrain::ttt {
namespace {

constexpr size_t kPiece = size_t{128} << 10;  // bytes: stays in a core's cache

/// Of the fast weights and their momentum, which may outlive the rest.
bool is_fast(std::string_view tensor) { return tensor.starts_with("fast.") || tensor.starts_with("momentum."); }

}  // namespace

void FileChecksum::field(std::string_view text) {
  const uint64_t size = text.size();
  sum_.update(&size, sizeof size);
  sum_.update(text.data(), text.size());
}

void FileChecksum::metadata(const std::map<std::string, std::string>& fields) {
  for (const auto& [key, value] : fields) {
    if (key == "checksum") continue;
    field(key);
    field(value);
  }
}

void FileChecksum::tensor(std::string_view name, std::span<const int64_t> shape) {
  field(name);
  sum_.update(shape.data(), shape.size_bytes());
}

std::string FileChecksum::value() const { return fmt::format("{:016x}", sum_.value()); }

MemoryTensors::MemoryTensors(const formats::SafetensorsFile& file, const Network& model)
    : file_(file), device_(model.weights.device()), compute_(model.weights.type()) {
  uint64_t weights = 0, others = 0;
  for (const auto& [name, entry] : file.tensors())
    if (is_kept(name, entry)) (is_fast(name) ? weights : others) += aligned(file.bytes(name).size());
  weights_.emplace(weights);
  others_.emplace(others);
  FileChecksum sum;
  sum.metadata(file.metadata());
  for (const auto& [name, entry] : file.tensors()) {
    sum.tensor(name, entry.shape);
    if (is_kept(name, entry))
      keep(name, entry, sum);
    else
      sum.bytes(file.bytes(name));
  }
  checksum_ = sum.value();
}

bool MemoryTensors::is_kept(const std::string& name, const formats::TensorEntry& entry) const {
  if (!device_.is_cpu()) return false;
  const auto type = scalar_type(entry.dtype);
  if (!type) return false;
  if (!at::isFloatingType(*type)) return true;
  return *type == master_type(compute_) || (!is_fast(name) && *type == compute_);
}

void MemoryTensors::keep(const std::string& name, const formats::TensorEntry& entry, FileChecksum& sum) {
  const at::ScalarType type = *scalar_type(entry.dtype);
  const std::span<const uint8_t> from = file_.bytes(name);
  const Tensor out = (is_fast(name) ? *weights_ : *others_).room(entry.shape, type);
  auto* const to = static_cast<uint8_t*>(out.data_ptr());
  for (size_t at = 0; at < from.size(); at += kPiece) {
    const std::span<uint8_t> piece{to + at, std::min(kPiece, from.size() - at)};
    std::memcpy(piece.data(), from.data() + at, piece.size());
    sum.bytes(piece);
    if (!is_finite(type, piece)) not_finite_.insert(name);
  }
  kept_.emplace(name, out);
}

Tensor MemoryTensors::take(const std::string& name, at::ScalarType type) {
  const auto kept = kept_.find(name);
  const Tensor out = kept != kept_.end() ? kept->second : view_tensor(file_, name);
  if (at::isFloatingType(type)) {
    require(at::isFloatingType(out.scalar_type()), "{}: tensor '{}' holds no floating-point numbers",
            file_.path().string(), name);
    if (kept == kept_.end() || not_finite_.contains(name)) require_finite(out, file_.path(), name);
  } else {
    require(out.scalar_type() == type, "{}: tensor '{}' has the wrong type", file_.path().string(), name);
  }
  if (kept == kept_.end()) return out.to(device_, type, /*non_blocking=*/false, /*copy=*/true);
  kept_.erase(kept);
  return out.to(type);
}

}  // namespace ingrain::ttt
