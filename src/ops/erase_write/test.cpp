// The delta rule with erasing and writing apart: its two forms are one recurrence, with its gradients; where its gates
// are one number a head, it is the gated delta rule; and what is refused.
#include "ops_refusals.h"
#include "recurrence.h"

#include "ops/checks.h"
#include "ops/erase_write/erase_write.h"
#include "ops/gated_delta/gated_delta.h"

namespace ingrain::test {
namespace {

struct EraseWriteCase : ops::EraseWriteInputs {
  explicit EraseWriteCase(at::ScalarType type) : EraseWriteCase(Recurrence{.type = type}) {}
  explicit EraseWriteCase(const Recurrence& r) {
    constexpr int64_t H = 3, K = 8;
    at::manual_seed(5);
    const auto random = [&](int64_t d) { return at::randn({r.batch, r.tokens, H, d}, at::kDouble); };
    const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
    const auto wide = ops::accumulate_type(r.type);
    q_BTHK = unit(random(K)).to(r.type);
    k_BTHK = unit(random(K)).to(r.type);
    e_BTHK = k_BTHK * random(K).sigmoid().to(r.type);
    w_BTHV = random(r.values).to(r.type);
    g_BTHK = (-r.decay * random(K).exp()).to(wide);
    state_BHKV = at::randn({r.batch, H, K, r.values}, at::kDouble).to(wide);
    scale = 0.5;
  }
  std::vector<Tensor*> of_tokens() { return {&q_BTHK, &k_BTHK, &e_BTHK, &w_BTHV, &g_BTHK}; }
  std::vector<Tensor*> of_all() { return {&q_BTHK, &k_BTHK, &e_BTHK, &w_BTHV, &g_BTHK, &state_BHKV}; }
  Tensor& state() { return state_BHKV; }
  Recurred run() const {
    const auto out = ops::erase_write(*this);
    return {out.o_BTHV, out.state_BHKV};
  }
  Tensor in_place() const { return ops::erase_write_in_place(*this); }
  void forget_all(int64_t first, int64_t count) { g_BTHK.narrow(1, first, count).fill_(-1e5); }
  Recurred one_by_one() const {
    Tensor S = state_BHKV;
    std::vector<Tensor> o_T;
    for (int64_t t = 0; t < q_BTHK.size(1); ++t) {
      const auto at = [&](const Tensor& x) { return x.select(1, t); };
      S = S * at(g_BTHK).exp().unsqueeze(-1);
      const Tensor u = at(w_BTHV) - at::einsum("bhkv,bhk->bhv", {S, at(e_BTHK)});
      S = S + at::einsum("bhk,bhv->bhkv", {at(k_BTHK), u});
      o_T.push_back(scale * at::einsum("bhkv,bhk->bhv", {S, at(q_BTHK)}));
    }
    return {at::stack(o_T, 1), S};
  }
};

TEST(EraseWrite, in_chunks_and_one_token_after_another_are_the_same) {
  expect_two_forms_of_one_recurrence<EraseWriteCase>();
}
TEST(EraseWrite, reading_in_any_split_gives_the_same_state) { expect_the_same_state_after_any_split<EraseWriteCase>(); }
TEST(EraseWrite, gradients_are_those_of_the_recurrence) { expect_gradients_of_the_recurrence<EraseWriteCase>(); }
TEST(EraseWrite, in_fp32_chunks_after_a_token_that_forgets_all_are_exact) {
  expect_exact_fp32_chunks_after_a_token_that_forgets_all<EraseWriteCase>();
}
TEST(EraseWrite, a_gate_that_forgets_all_leaves_finite_numbers_and_gradients) {
  expect_finite_gradients_where_all_is_forgotten<EraseWriteCase>();
}
TEST(EraseWrite, kernels_equal_the_reference) { expect_kernels_like_the_reference<EraseWriteCase>(); }
TEST(EraseWrite, of_a_token_is_captured) { expect_a_token_captured<EraseWriteCase>(); }

TEST(EraseWrite, with_one_number_a_head_for_all_gates_is_the_gated_delta_rule) {
  EraseWriteCase in(Recurrence{.tokens = 70});
  const Tensor g_BTH = in.g_BTHK.select(3, 0).contiguous(), beta_BTH = at::randn_like(g_BTH).sigmoid();
  const Tensor v_BTHV = in.w_BTHV;
  in.g_BTHK = g_BTH.unsqueeze(-1).expand_as(in.k_BTHK);
  in.e_BTHK = beta_BTH.unsqueeze(-1) * in.k_BTHK;
  in.w_BTHV = beta_BTH.unsqueeze(-1) * v_BTHV;
  const auto expected = ops::gated_delta(in.q_BTHK, in.k_BTHK, v_BTHV, g_BTH, beta_BTH, in.state_BHKV, in.scale);
  expect_same(in.run(), {expected.o_BTHV, expected.state_BHKV}, 1e-11);
}

TEST(Refused, erase_write) {
  expect_refused<EraseWriteCase>({
      {"fewer keys", [](auto& in) { in.k_BTHK = in.k_BTHK.narrow(1, 0, 4); }},
      {"erasing keys of another width", [](auto& in) { in.e_BTHK = in.e_BTHK.narrow(3, 0, 4); }},
      {"values of other heads", [](auto& in) { in.w_BTHV = in.w_BTHV.narrow(2, 0, 2); }},
      {"another type", [](auto& in) { in.w_BTHV = in.w_BTHV.to(at::kHalf); }},
      {"a gate for each head", [](auto& in) { in.g_BTHK = in.g_BTHK.select(3, 0); }},
      {"a gate in half precision", [](auto& in) { in.g_BTHK = in.g_BTHK.to(at::kHalf); }},
      {"a state of another width", [](auto& in) { in.state_BHKV = in.state_BHKV.narrow(3, 0, 5); }},
      {"a state in half precision", [](auto& in) { in.state_BHKV = in.state_BHKV.to(at::kHalf); }},
  });
}

}  // namespace
}  // namespace ingrain::test
