#include "store/model_files.h"

#include "base/checksum.h"
#include "base/files.h"
#include "store/open_model.h"
#include "store/tensor_io.h"

#include <nlohmann/json.hpp>

namespace ingrain {

namespace fs = std::filesystem;

std::string fingerprint_of(const formats::SafetensorsFolder& stored) {
  Checksum sum;
  for (const auto& [name, location] : stored.tensors()) {
    sum.update(name.data(), name.size());
    const auto bytes = location.file->bytes(name);
    sum.update(bytes.data(), bytes.size());
  }
  return fmt::format("{:016x}", sum.value());
}

void visit_stored(const ModelConfig& config, const Weights& weights, const StoredVisitor& visit) {
  Weights handles = weights;
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    const Tensor& whole = parameter.member(handles, layer);
    for (const StoredPart& part : stored_parts(parameter, config, layer))
      visit(part, whole.narrow(0, part.first_row, part.rows));
  });
}

Network load_model(const fs::path& path, at::ScalarType compute, at::Device device) {
  return load_model_as(path, compute, device, "expanded");
}

void save_model(const fs::path& folder, const ModelConfig& config, const Weights& weights, at::ScalarType store,
                std::optional<at::ScalarType> norms) {
  fs::create_directories(folder);
  TensorWriter writer;
  visit_stored(config, weights, [&](const StoredPart& part, const Tensor& rows) {
    const bool norm = part.name.ends_with("norm.weight");
    writer.add(part.name, rows.to(norm ? norms.value_or(store) : store));
  });
  writer.metadata("format", "ingrain");
  writer.write(folder / "model.safetensors");
  write_file(folder / "config.json", to_json(config).dump(2) + "\n");
}

}  // namespace ingrain
