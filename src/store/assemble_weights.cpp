#include "store/assemble_weights.h"

#include "base/error.h"
#include "store/model_files.h"
#include "store/tensor_io.h"

namespace ingrain {

Weights assemble_weights(const ModelConfig& config, at::ScalarType compute, const std::filesystem::path& source,
                         const StoredTensor& read) {
  Weights weights = make_weights(config, compute);
  visit_stored(config, weights, [&](const StoredPart& part, const Tensor& target) {
    const Tensor stored = read(part.name);
    require(target.sizes() == stored.sizes(), "{}: tensor '{}' has shape [{}]; the model's configuration asks for [{}]",
            source.string(), part.name, fmt::join(stored.sizes(), ", "), fmt::join(target.sizes(), ", "));
    target.copy_(require_finite(stored, source, part.name));
  });
  return weights;
}

}  // namespace ingrain
