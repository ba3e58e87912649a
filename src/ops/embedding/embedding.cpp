#include "ops/embedding/embedding.h"

#include "ops/graph/captured.h"
#include "ops/quantized/quantized.h"

namespace ingrain::ops {

// Without a tensor: libtorch's own work, were it only to make one, would keep a token's work from being captured.
double rounded_to(at::ScalarType type, double scale) {
  if (type == at::kDouble) return scale;
  const auto wide = static_cast<float>(scale);
  if (type == at::kFloat) return wide;
  TORCH_CHECK(type == at::kBFloat16 || type == at::kHalf, "rounded_to: ", type, " is no type to compute in");
  return type == at::kBFloat16 ? static_cast<float>(c10::BFloat16(wide)) : static_cast<float>(c10::Half(wide));
}

Tensor embedding(const Tensor& embedding_VD, const Tensor& token, double scale) {
  TORCH_CHECK(embedding_VD.dim() == 2 && token.scalar_type() == at::kLong && token.device() == embedding_VD.device(),
              "embedding: tokens ", token.scalar_type(), " on ", token.device(), " do not fit a table ",
              embedding_VD.sizes(), " on ", embedding_VD.device());
  const auto rows = [=] {
    return is_quantized(embedding_VD) ? quantized_lookup(embedding_VD, token) : at::embedding(embedding_VD, token);
  };
  if (scale == 1) return captured(rows);
  const double factor = rounded_to(embedding_VD.scalar_type(), scale);
  return captured([=] { return rows() * factor; });
}

}  // namespace ingrain::ops
