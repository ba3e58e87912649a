// The inner step: what is refused.
#include "ops_refusals.h"

#include "ops/checks.h"
#include "ops/sgd/sgd.h"

namespace ingrain::test {
namespace {

struct SgdInputs {
  std::vector<Tensor> w, g, rounded;
  Tensor eta;
  explicit SgdInputs(at::ScalarType type)
      : w{at::ones({2, 3, 4}, type), at::ones({2, 5}, type)}, g(w), eta(at::ones({2}, type)) {
    for (const Tensor& x : w) rounded.push_back(x.to(at::kBFloat16));
  }
  void run() const { ops::clipped_sgd(w, g, eta, 1, w, rounded); }
};
TEST(Refused, inner_steps) {
  expect_refused<SgdInputs>(
      {
          {"fewer gradients", [](auto& in) { in.g.pop_back(); }},
          {"fewer rates", [](auto& in) { in.eta = in.eta.narrow(0, 0, 1); }},
          {"no tensors", [](auto& in) { in.w = in.g = in.rounded = {}, in.eta = in.eta.narrow(0, 0, 0); }},
          {"a gradient of another shape", [](auto& in) { in.g[1] = in.g[1].narrow(1, 0, 4); }},
          {"a gradient of another type", [](auto& in) { in.g[0] = in.g[0].to(at::kHalf); }},
          {"another number of sequences",
           [](auto& in) { in.w[1] = in.g[1] = in.w[1].narrow(0, 0, 1), in.rounded = {}; }},
          {"weights that are not contiguous",
           [](auto& in) { in.w[1] = at::ones({5, 2}, in.w[1].options()).t(), in.rounded = {}; }},
          {"weights in half precision",
           [](auto& in) {
             for (auto* all : {&in.w, &in.g})
               for (Tensor& x : *all) x = x.to(at::kHalf);
           }},
          {"rounded weights of another shape",
           [](auto& in) { in.rounded[0] = in.rounded[0].narrow(1, 0, 2).contiguous(); }},
          {"rounded weights that are not", [](auto& in) { in.rounded[0] = in.w[0]; }},
      },
      {at::kFloat, at::kDouble});
}

}  // namespace

}  // namespace ingrain::test
