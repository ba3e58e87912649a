// Files of tensors with any numbers in them: TensorWriter writes none that a loader would refuse.
#pragma once

#include "store/tensor_io.h"

#include <map>

namespace ingrain::test {

inline void write_tensors(const std::map<std::string, Tensor>& tensors, const std::filesystem::path& path,
                          const std::map<std::string, std::string>& metadata = {}) {
  formats::SafetensorsWriter writer;
  std::list<Tensor> kept;
  for (const auto& [name, tensor] : tensors) {
    const Tensor& x = kept.emplace_back(tensor.contiguous());
    writer.add(name, stored_type(x.scalar_type(), name), x.sizes().vec(),
               {static_cast<const uint8_t*>(x.data_ptr()), x.nbytes()});
  }
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.write(path);
}

}  // namespace ingrain::test
