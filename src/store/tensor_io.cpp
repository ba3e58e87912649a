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

/// Whether no number of a format has all bits of its exponent set, as NaN and the infinities have.
template <class Bits>
bool all_finite(const Bits* x, int64_t n, Bits exponent) {
  constexpr int64_t kBlock = 64;  // of a length that the compiler knows, so that it makes vectors of it
  const auto bad = [exponent](Bits bits) { return static_cast<Bits>((bits & exponent) == exponent); };
  Bits found = 0;
  int64_t i = 0;
  for (; i + kBlock <= n && !found; i += kBlock)
    for (int64_t j = 0; j < kBlock; ++j) found |= bad(x[i + j]);
  for (; i < n; ++i) found |= bad(x[i]);
  return !found;
}

bool is_finite(const Tensor& x) {
  if (!x.is_cpu() || !x.is_contiguous()) return at::isfinite(x).all().item<bool>();
  return ingrain::is_finite(x.scalar_type(), {static_cast<const uint8_t*>(x.const_data_ptr()), x.nbytes()});
}

}  // namespace

bool is_finite(at::ScalarType type, std::span<const uint8_t> bytes) {
  const void* const x = bytes.data();
  const auto n = static_cast<int64_t>(bytes.size() / c10::elementSize(type));
  switch (type) {
    case at::kDouble: return all_finite<uint64_t>(static_cast<const uint64_t*>(x), n, 0x7ff0000000000000);
    case at::kFloat: return all_finite<uint32_t>(static_cast<const uint32_t*>(x), n, 0x7f800000);
    case at::kBFloat16: return all_finite<uint16_t>(static_cast<const uint16_t*>(x), n, 0x7f80);
    case at::kHalf: return all_finite<uint16_t>(static_cast<const uint16_t*>(x), n, 0x7c00);
    default: return true;  // whole numbers
  }
}

std::optional<at::ScalarType> scalar_type(DType dtype) {
  for (const auto& [stored, type] : kTypes)
    if (stored == dtype) return type;
  return std::nullopt;
}

at::ScalarType scalar_type(DType dtype, std::string_view name) {
  if (const auto type = scalar_type(dtype)) return *type;
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

Tensor view_tensor(const formats::SafetensorsFile& file, std::string_view name) {
  const formats::TensorEntry& entry = file.at(name);
  const at::ScalarType type = scalar_type(entry.dtype, name);
  const std::span<const uint8_t> bytes = file.bytes(name);
  if (reinterpret_cast<uintptr_t>(bytes.data()) % c10::elementSize(type) != 0) return to_tensor(entry, bytes, name);
  return at::from_blob(const_cast<uint8_t*>(bytes.data()), entry.shape, at::TensorOptions().dtype(type));
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
