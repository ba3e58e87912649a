#include "ops/embedding/embedding.h"

#include "ops/graph/captured.h"
#include "ops/quantized/quantized.h"

namespace ingrain::ops {

double rounded_to(at::ScalarType type, double scale) {
  const cpu::Capture::Scope aside(nullptr);  // a constant: captured work need not make it again
  return at::scalar_tensor(scale, at::TensorOptions().dtype(type)).item().toDouble();
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
