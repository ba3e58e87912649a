// On a GPU, reading and writing by captured graphs give the CPU's numbers. Where there is none:
// tests/other_device/graph_test.cpp.
#include "tiny_model.h"
#include "session/session.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace ingrain::ttt {
namespace {

/// What each token of a text is predicted with, most of it read at once, the rest token by token. [B, n - 1] nll on the
/// CPU, fp64.
Tensor scores(const Network& model, const Tensor& tokens_Bn, int64_t read_at_once) {
  Memory memory = empty_memory(model, tokens_Bn.size(0));
  const Tensor read_BN =
      read(model, memory, tokens_Bn.narrow(1, 0, read_at_once)).nll_Bn.narrow(1, 1, read_at_once - 1);
  std::vector<Tensor> nll_B1{read_BN.cpu().to(at::kDouble)};
  session::Session decoder(model, std::move(memory));
  for (int64_t i = read_at_once; i < tokens_Bn.size(1); ++i) {
    const Tensor token_B1 = tokens_Bn.narrow(1, i, 1),
                 log_p_BV = decoder.logits_BV().cpu().to(at::kDouble).log_softmax(-1);
    nll_B1.push_back(-log_p_BV.gather(1, token_B1));
    decoder.write(token_B1);
  }
  return at::cat(nll_B1, 1);
}

/// A graph that could not be captured is a warning, and right numbers all the same.
struct NoWarning : c10::WarningHandler {
  void process(const c10::Warning& warning) override { ADD_FAILURE() << warning.msg(); }
};

TEST(Graphs, of_chunks_and_tokens_give_the_numbers_of_the_cpu_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  NoWarning no_warning;
  const c10::WarningUtils::WarningHandlerGuard all_captured(&no_warning);
  for (const int64_t suffix : {1, 2, 3})
    for (const int64_t batch : {1, 2})
      for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {  // fp64: the reference formulas
        SCOPED_TRACE(testing::Message() << "suffix " << suffix << " batch " << batch << " " << type);
        const Network here = test::tiny_model({.suffix = suffix, .learned_rates = true, .inner_lr = 0.2}, type);
        Network there = here;
        there.weights = convert(here.config, here.weights, type, at::kCUDA);
        const Tensor tokens_Bn = test::random_tokens(here.config, batch, 180);
        const Tensor a = scores(here, tokens_Bn, 131), b = scores(there, tokens_Bn, 131);
        if (type == at::kBFloat16)
          EXPECT_NEAR(a.mean().item<double>(), b.mean().item<double>(), 0.05);
        else
          EXPECT_LT(test::max_difference(a, b), type == at::kDouble ? 1e-8 : 5e-3);
      }
}

}  // namespace
}  // namespace ingrain::ttt
