// Rows looked up: what is refused.
#include "ops_refusals.h"

#include "ops/embedding/embedding.h"

namespace ingrain::test {
namespace {

struct EmbeddingInputs {
  Tensor table, token;
  explicit EmbeddingInputs(at::ScalarType type) : table(at::ones({5, 3}, type)), token(at::zeros({2, 4}, at::kLong)) {}
  void run() const { ops::embedding(table, token); }
};
TEST(Refused, embeddings) {
  expect_refused<EmbeddingInputs>({
      {"a table of three axes", [](auto& in) { in.table = in.table.unsqueeze(0); }},
      {"tokens in 32 bits", [](auto& in) { in.token = in.token.to(at::kInt); }},
  });
}

}  // namespace
}  // namespace ingrain::test
