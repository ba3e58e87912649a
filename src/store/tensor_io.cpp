#include "store/tensor_io.h"

#include "base/error.h"

#include <cstring>

namespace ingrain {
namespace {

using formats::DType;

constexpr std::pair<DType, at::ScalarType> kTypes[] = {
    {DType::F64, at::kDouble}, {DType::F32, at::kFloat}, {DType::F16, at::kHalf},  {DType::BF16, at::kBFloat16},
    {DType::I64, at::kLong},   {DType::I32, at::kInt},   {DType::I16, at::kShort}, {DType::I8, at::kChar},
    {DType::U8, at::kByte},    {DType::BOOL, at::kBool}, {DType::U16, at::kUInt16}};

/// A sum is finite where all its parts are, and reads them once.
bool is_finite(const Tensor& x) { return at::isfinite(x.sum(at::kDouble)).item<bool>(); }

}  // namespace

at::ScalarType scalar_type(DType dtype, std::string_view name) {
  for (const auto& [stored, type] : kTypes)
    if (stored == dtype) return type;
  fail("tensor '{}': dtype {} cannot be used here", name, formats::dtype_name(dtype));
}

Tensor to_tensor(const formats::TensorEntry& entry, std::span<const uint8_t> bytes, std::string_view name) {
  const Tensor out = at::empty(entry.shape, at::TensorOptions().dtype(scalar_type(entry.dtype, name)));
  if (!bytes.empty()) std::memcpy(out.data_ptr(), bytes.data(), bytes.size());
  return out;
}

DType stored_type(at::ScalarType type, std::string_view name) {
  for (const auto& [stored, held] : kTypes)
    if (held == type) return stored;
  fail("tensor '{}': a file cannot hold its type", name);
}

const Tensor& require_finite(const Tensor& tensor, const std::filesystem::path& file, std::string_view name) {
  require(is_finite(tensor), "{}: tensor '{}' holds a NaN or an infinity; the file is damaged", file.string(), name);
  return tensor;
}

Tensor read_tensor(const formats::SafetensorsFile& file, std::string_view name) {
  return to_tensor(file.at(name), file.bytes(name), name);
}

Tensor read_tensor(const formats::SafetensorsFolder& folder, std::string_view name) {
  return to_tensor(*folder.at(name).entry, folder.bytes(name), name);
}

void TensorWriter::add(const std::string& name, const Tensor& tensor) {
  const Tensor& kept = kept_.emplace_back(name, tensor.detach().to(at::kCPU).contiguous()).second;
  writer_.add(name, stored_type(kept.scalar_type(), name), kept.sizes().vec(),
              {static_cast<const uint8_t*>(kept.data_ptr()), kept.nbytes()});
}

void TensorWriter::write(const std::filesystem::path& path) const {
  for (const auto& [name, tensor] : kept_)
    require(!at::isFloatingType(tensor.scalar_type()) || is_finite(tensor),
            "{}: tensor '{}' holds a NaN or an infinity, with which nothing can go on; nothing was written",
            path.string(), name);
  writer_.write(path);
}

}  // namespace ingrain
