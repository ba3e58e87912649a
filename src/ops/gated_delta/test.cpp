// The gated delta rule: its two forms are one recurrence, with its gradients, and what is refused.
#include "ops_refusals.h"
#include "recurrence.h"

#include "ops/checks.h"
#include "ops/gated_delta/gated_delta.h"

namespace ingrain::test {
namespace {

constexpr Nearness kNear{.forms = 1e-11, .gradients = 1e-10, .relative = 0, .kernels = 1e-5};

struct DeltaInputs {
  Tensor q, k, v, g, beta, S;
  explicit DeltaInputs(at::ScalarType type) : DeltaInputs(Recurrence{.type = type}) {}
  explicit DeltaInputs(const Recurrence& r) {
    const int64_t H = 3, K = r.keys;
    at::manual_seed(5);
    const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); };
    const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
    const auto wide = ops::accumulate_type(r.type);
    q = unit(random({r.batch, r.tokens, H, K})).to(r.type);
    k = unit(random({r.batch, r.tokens, H, K})).to(r.type);
    v = random({r.batch, r.tokens, H, r.values}).to(r.type);
    g = (-r.decay * random({r.batch, r.tokens, H}).exp()).to(wide);
    beta = random({r.batch, r.tokens, H}).sigmoid().to(wide);
    S = random({r.batch, H, K, r.values}).to(wide);
  }
  std::vector<Tensor*> of_tokens() { return {&q, &k, &v, &g, &beta}; }
  std::vector<Tensor*> of_all() { return {&q, &k, &v, &g, &beta, &S}; }
  Tensor& state() { return S; }
  Recurred run() const {
    const auto out = ops::gated_delta(q, k, v, g, beta, S, 0.5);
    return {out.o_BTHV, out.state_BHKV};
  }
  Tensor in_place() const { return ops::gated_delta_in_place(q, k, v, g, beta, S, 0.5); }
  void forget_all(int64_t first, int64_t count) { g.narrow(1, first, count).fill_(-1e5); }
  Recurred one_by_one() const {
    Tensor S_BHKV = S;
    std::vector<Tensor> o_T;
    for (int64_t t = 0; t < q.size(1); ++t) {
      const auto at = [&](const Tensor& x) { return x.select(1, t); };
      S_BHKV = S_BHKV * at(g).exp().unsqueeze(-1).unsqueeze(-1);
      const Tensor u = at(beta).unsqueeze(-1) * (at(v) - at::einsum("bhkv,bhk->bhv", {S_BHKV, at(k)}));
      S_BHKV = S_BHKV + at::einsum("bhk,bhv->bhkv", {at(k), u});
      o_T.push_back(0.5 * at::einsum("bhkv,bhk->bhv", {S_BHKV, at(q)}));
    }
    return {at::stack(o_T, 1), S_BHKV};
  }
};

TEST(GatedDelta, in_chunks_and_one_token_after_another_are_the_same) {
  expect_two_forms_of_one_recurrence<DeltaInputs>(kNear);
}
TEST(GatedDelta, reading_in_any_split_gives_the_same_state) {
  expect_the_same_state_after_any_split<DeltaInputs>(kNear);
}
TEST(GatedDelta, gradients_are_those_of_the_recurrence) { expect_gradients_of_the_recurrence<DeltaInputs>(kNear); }
TEST(GatedDelta, in_fp32_chunks_after_a_token_that_forgets_all_are_exact) {
  expect_exact_fp32_chunks_after_a_token_that_forgets_all<DeltaInputs>();
}
TEST(GatedDelta, a_gate_that_forgets_all_leaves_finite_numbers_and_gradients) {
  expect_finite_gradients_where_all_is_forgotten<DeltaInputs>();
}
TEST(GatedDelta, kernels_equal_the_reference) { expect_kernels_like_the_reference<DeltaInputs>(kNear); }
TEST(GatedDelta, of_a_token_is_captured) { expect_a_token_captured<DeltaInputs>(); }

TEST(Refused, gated_delta) {
  expect_refused<DeltaInputs>({
      {"fewer keys", [](auto& in) { in.k = in.k.narrow(1, 0, 4); }},
      {"values of other heads", [](auto& in) { in.v = in.v.narrow(2, 0, 2); }},
      {"another type", [](auto& in) { in.v = in.v.to(at::kHalf); }},
      {"a gate of fewer heads", [](auto& in) { in.g = in.g.narrow(2, 0, 2); }},
      {"a gate in half precision", [](auto& in) { in.beta = in.beta.to(at::kHalf); }},
      {"a state of another width", [](auto& in) { in.S = in.S.narrow(3, 0, 5); }},
      {"a state in half precision", [](auto& in) { in.S = in.S.to(at::kHalf); }},
      {"planes", [](auto& in) { in.q = in.q.unsqueeze(0), in.k = in.k.unsqueeze(0), in.v = in.v.unsqueeze(0); }},
  });
}

}  // namespace
}  // namespace ingrain::test
