#include "ttt/memory_tensors.h"

#include "base/error.h"
#include "store/tensor_io.h"

#include <algorithm>
#include <cstring>

namespace ingrain::ttt {
namespace {

constexpr size_t kPiece = size_t{128} << 10;  // bytes: stays in a core's cache

/// Of the fast weights and their momentum, which may outlive the rest.
bool is_fast(std::string_view tensor) {
  return tensor.starts_with("fast.") || tensor.starts_with("early.") || tensor.starts_with("momentum.");
}

/// Of what layers carry, of memory files of any version.
bool is_layers(std::string_view tensor) { return tensor.starts_with("layer.") || tensor.starts_with("window."); }

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

MemoryTensors::MemoryTensors(const formats::SafetensorsFile& file, const Network& model, bool mapped)
    : file_(file), device_(model.weights.device()), compute_(model.weights.type()) {
  if (mapped && device_.is_cpu()) map_file();
  uint64_t weights = 0, others = 0;
  for (const auto& [name, entry] : file.tensors())
    if (is_kept(name, entry) && !pages_of(name, entry))
      (is_fast(name) ? weights : others) += aligned(file.bytes(name).size());
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

void MemoryTensors::map_file() {
  struct Part {
    uint64_t begin = UINT64_MAX, end = 0;
  } weights, layers;
  uint64_t data = 0;
  for (const auto& [name, entry] : file_.tensors()) {
    data = std::max(data, entry.end);
    if (entry.begin == entry.end || !(is_fast(name) || is_layers(name))) continue;
    Part& part = is_fast(name) ? weights : layers;
    part = {std::min(part.begin, entry.begin), std::max(part.end, entry.end)};
  }
  const uint64_t size = std::filesystem::file_size(file_.path());
  require(size > data, "{}: changed while it was read; try again", file_.path().string());
  data_begin_ = size - data;
  const auto map = [&](const Part& part, std::optional<FilePages>& pages) {
    if (part.end > 0) pages.emplace(file_.path(), size, data_begin_ + part.begin, data_begin_ + part.end);
  };
  map(weights, weights_pages_);
  map(layers, layers_pages_);
}

const FilePages* MemoryTensors::pages_of(const std::string& name, const formats::TensorEntry& entry) const {
  if (entry.begin == entry.end || (data_begin_ + entry.begin) % aligned(1) != 0) return nullptr;
  if (is_fast(name)) return weights_pages_ ? &*weights_pages_ : nullptr;
  return is_layers(name) && layers_pages_ ? &*layers_pages_ : nullptr;
}

Tensor MemoryTensors::place_of(const std::string& name, const formats::TensorEntry& entry, at::ScalarType type) {
  if (const FilePages* pages = pages_of(name, entry)) return pages->view(data_begin_ + entry.begin, entry.shape, type);
  return (is_fast(name) ? *weights_ : *others_).room(entry.shape, type);
}

void MemoryTensors::keep(const std::string& name, const formats::TensorEntry& entry, FileChecksum& sum) {
  const at::ScalarType type = *scalar_type(entry.dtype);
  const std::span<const uint8_t> from = file_.bytes(name);
  const Tensor out = place_of(name, entry, type);
  const bool mapped = pages_of(name, entry) != nullptr;
  auto* const to = static_cast<uint8_t*>(out.data_ptr());
  for (size_t at = 0; at < from.size(); at += kPiece) {
    const std::span<uint8_t> piece{to + at, std::min(kPiece, from.size() - at)};
    if (!mapped) std::memcpy(piece.data(), from.data() + at, piece.size());
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
