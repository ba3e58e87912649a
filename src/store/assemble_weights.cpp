#include "store/assemble_weights.h"

#include "base/error.h"
#include "model/network.h"
#include "store/tensor_io.h"

namespace ingrain {

Weights assemble_weights(const ModelConfig& config, at::ScalarType compute, const std::filesystem::path& source,
                         const StoredTensor& read) {
  Weights weights = make_weights(config, compute);
  visit_parameters(config, weights, [&](const std::string& parameter, Tensor& tensor, ParameterKind) {
    for (const StoredPart& part : stored_parts(config, parameter)) {
      const Tensor target = part.rows < 0 ? tensor : tensor.narrow(0, part.first_row, part.rows);
      const Tensor stored = read(part.name);
      require(target.sizes() == stored.sizes(),
              "{}: tensor '{}' has shape [{}]; the model's configuration asks for [{}]", source.string(), part.name,
              fmt::join(stored.sizes(), ", "), fmt::join(target.sizes(), ", "));
      target.copy_(require_finite(stored, source, part.name));
    }
  });
  return weights;
}

}  // namespace ingrain
