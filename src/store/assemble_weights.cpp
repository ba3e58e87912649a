#include "store/assemble_weights.h"

#include "base/error.h"
#include "store/model_files.h"
#include "store/tensor_io.h"

namespace ingrain {

Weights assemble_weights(const ModelConfig& config, at::ScalarType compute, const std::filesystem::path& source,
                         const StoredTensor& read, const KeptAs& kept_as, const StoredRows& read_rows) {
  Weights weights = make_weights(config, compute, kept_as);
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    const std::vector<StoredPart> parts = stored_parts(parameter, config, layer);
    const Tensor& target = parameter.member(weights, layer);
    const bool quantized = ops::is_quantized(target);
    if (quantized && read_rows) {
      for (size_t i = 0; i < parts.size(); ++i)
        require(read_rows(parts[i], target, i), "{}: tensor '{}' holds a NaN or an infinity; the file is damaged",
                source.string(), parts[i].name);
      return;
    }
    const Tensor native = quantized ? at::empty(target.sizes(), target.options()) : target;
    for (const StoredPart& part : parts) {
      const Tensor rows = native.narrow(0, part.first_row, part.rows), stored = read(part.name);
      require(rows.sizes() == stored.sizes(), "{}: tensor '{}' has shape [{}]; the model's configuration asks for [{}]",
              source.string(), part.name, fmt::join(stored.sizes(), ", "), fmt::join(rows.sizes(), ", "));
      rows.copy_(require_finite(stored, source, part.name));
    }
    if (quantized) ops::quantize_into(target, native);
  });
  return weights;
}

}  // namespace ingrain
