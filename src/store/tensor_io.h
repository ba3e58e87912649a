// Between tensors and the bytes of safetensors files.
#pragma once

#include "formats/safetensors_folder.h"
#include "ops/dual.h"

#include <list>
#include <optional>
#include <span>
#include <string>

namespace ingrain {

/// The tensors' type for a file's. Error naming `name` for dtypes that tensors lack.
at::ScalarType scalar_type(formats::DType dtype, std::string_view name);

/// As above; nothing for those.
std::optional<at::ScalarType> scalar_type(formats::DType dtype);

/// The file's type for tensors of `type`. Error naming `name` where files have none.
formats::DType stored_type(at::ScalarType type, std::string_view name);

/// A copy of the bytes as a CPU tensor (always owning, aligned). Error naming `name` for dtypes that tensors lack.
Tensor to_tensor(const formats::TensorEntry& entry, std::span<const uint8_t> bytes, std::string_view name);
Tensor read_tensor(const formats::SafetensorsFile& file, std::string_view name);
Tensor read_tensor(const formats::SafetensorsFolder& folder, std::string_view name);
/// The bytes where the file is mapped; a copy where they are not aligned to their type. READ ONLY, valid as long as
/// `file`.
Tensor view_tensor(const formats::SafetensorsFile& file, std::string_view name);

/// Whether numbers of this type hold no NaN and no infinity. `bytes`: whole numbers, aligned.
bool is_finite(at::ScalarType type, std::span<const uint8_t> bytes);
/// Error naming file and tensor if `tensor` holds a NaN or an infinity. Returns it.
const Tensor& require_finite(const Tensor& tensor, const std::filesystem::path& file, std::string_view name);

/// A SafetensorsWriter that keeps what it writes alive, and writes no number that a loader would refuse.
class TensorWriter {
 public:
  void add(const std::string& name, const Tensor& tensor);  // any device, any strides
  void metadata(std::string key, std::string value) { writer_.metadata(std::move(key), std::move(value)); }
  /// Error naming file and tensor, with nothing written, if one holds a NaN or an infinity.
  void write(const std::filesystem::path& path) const;

 private:
  formats::SafetensorsWriter writer_;
  std::list<std::pair<std::string, Tensor>> kept_;
};

}  // namespace ingrain
