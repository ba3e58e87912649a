#include "ops/embedding/embedding.h"

#include "ops/graph/captured.h"
#include "ops/quantized/quantized.h"

namespace ingrain::ops {

Tensor embedding(const Tensor& embedding_VD, const Tensor& token) {
  TORCH_CHECK(embedding_VD.dim() == 2 && token.scalar_type() == at::kLong && token.device() == embedding_VD.device(),
              "embedding: tokens ", token.scalar_type(), " on ", token.device(), " do not fit a table ",
              embedding_VD.sizes(), " on ", embedding_VD.device());
  return captured([=] {
    return is_quantized(embedding_VD) ? quantized_lookup(embedding_VD, token) : at::embedding(embedding_VD, token);
  });
}

}  // namespace ingrain::ops
