// Mamba-2's recurrence: its two forms are one, with its gradients, and what is refused.
#include "ops_refusals.h"
#include "recurrence.h"

#include "ops/checks.h"
#include "ops/ssd/ssd.h"

namespace ingrain::test {
namespace {

struct SsdCase : ops::SsdInputs {
  explicit SsdCase(at::ScalarType type) : SsdCase(Recurrence{.type = type}) {}
  explicit SsdCase(const Recurrence& r) {
    constexpr int64_t H = 4, G = 2, K = 8;
    const int64_t B = r.batch, T = r.tokens, V = r.values;
    at::manual_seed(5);
    const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); };
    const auto wide = ops::accumulate_type(r.type);
    x_BTHV = random({B, T, H, V}).to(r.type);
    dt_BTH = random({B, T, H}).exp().to(wide);
    A_H = (-r.decay * random({H}).exp()).to(wide);
    b_BTGK = random({B, T, G, K}).to(r.type);
    c_BTGK = random({B, T, G, K}).to(r.type);
    D_H = random({H}).to(wide);
    state_BHKV = random({B, H, K, V}).to(wide);
  }
  std::vector<Tensor*> of_tokens() { return {&x_BTHV, &dt_BTH, &b_BTGK, &c_BTGK}; }
  std::vector<Tensor*> of_all() { return {&x_BTHV, &dt_BTH, &A_H, &b_BTGK, &c_BTGK, &D_H, &state_BHKV}; }
  Tensor& state() { return state_BHKV; }
  Recurred run() const {
    const auto out = ops::ssd(*this);
    return {out.y_BTHV, out.state_BHKV};
  }
  Tensor in_place() const { return ops::ssd_in_place(*this); }
  /// What they write stays as large as what others do.
  void forget_all(int64_t first, int64_t count) {
    dt_BTH.clamp_(0, 2).narrow(1, first, count).fill_(1e7);
    x_BTHV.narrow(1, first, count).mul_(1e-7);
  }
  Recurred one_by_one() const {
    Tensor S = state_BHKV;
    std::vector<Tensor> y_T;
    const int64_t heads_of_group = x_BTHV.size(2) / b_BTGK.size(2);
    for (int64_t t = 0; t < x_BTHV.size(1); ++t) {
      const Tensor x = x_BTHV.select(1, t), dt = dt_BTH.select(1, t);
      const Tensor b = b_BTGK.select(1, t).repeat_interleave(heads_of_group, 1);
      const Tensor c = c_BTGK.select(1, t).repeat_interleave(heads_of_group, 1);
      S = at::einsum("bhkv,bh->bhkv", {S, (dt * A_H).exp()}) + at::einsum("bh,bhk,bhv->bhkv", {dt, b, x});
      y_T.push_back(at::einsum("bhkv,bhk->bhv", {S, c}) + at::einsum("h,bhv->bhv", {D_H, x}));
    }
    return {at::stack(y_T, 1), S};
  }
};

TEST(Ssd, in_chunks_and_one_token_after_another_are_the_same) { expect_two_forms_of_one_recurrence<SsdCase>(); }
TEST(Ssd, reading_in_any_split_gives_the_same_state) { expect_the_same_state_after_any_split<SsdCase>(); }
TEST(Ssd, gradients_are_those_of_the_recurrence) { expect_gradients_of_the_recurrence<SsdCase>(); }
TEST(Ssd, in_fp32_chunks_after_a_token_that_forgets_all_are_exact) {
  expect_exact_fp32_chunks_after_a_token_that_forgets_all<SsdCase>();
}
TEST(Ssd, a_gate_that_forgets_all_leaves_finite_numbers_and_gradients) {
  expect_finite_gradients_where_all_is_forgotten<SsdCase>();
}
TEST(Ssd, kernels_equal_the_reference) { expect_kernels_like_the_reference<SsdCase>(); }
TEST(Ssd, of_a_token_is_captured) { expect_a_token_captured<SsdCase>(); }

TEST(Refused, ssd) {
  expect_refused<SsdCase>({
      {"fewer tokens of b", [](auto& in) { in.b_BTGK = in.b_BTGK.narrow(1, 0, 4); }},
      {"c of another width", [](auto& in) { in.c_BTGK = in.c_BTGK.narrow(3, 0, 2); }},
      {"groups that do not divide the heads",
       [](auto& in) {
         in.b_BTGK = at::cat({in.b_BTGK, in.b_BTGK.narrow(2, 0, 1)}, 2);
         in.c_BTGK = at::cat({in.c_BTGK, in.c_BTGK.narrow(2, 0, 1)}, 2);
       }},
      {"no groups", [](auto& in) { in.b_BTGK = in.b_BTGK.narrow(2, 0, 0), in.c_BTGK = in.c_BTGK.narrow(2, 0, 0); }},
      {"another type", [](auto& in) { in.x_BTHV = in.x_BTHV.to(at::kHalf); }},
      {"time steps of fewer heads", [](auto& in) { in.dt_BTH = in.dt_BTH.narrow(2, 0, 2); }},
      {"time steps in half precision", [](auto& in) { in.dt_BTH = in.dt_BTH.to(at::kHalf); }},
      {"A for fewer heads", [](auto& in) { in.A_H = in.A_H.narrow(0, 0, 2); }},
      {"D in half precision", [](auto& in) { in.D_H = in.D_H.to(at::kHalf); }},
      {"a state of another width", [](auto& in) { in.state_BHKV = in.state_BHKV.narrow(3, 0, 5); }},
      {"a state in half precision", [](auto& in) { in.state_BHKV = in.state_BHKV.to(at::kHalf); }},
  });
}

}  // namespace
}  // namespace ingrain::test
