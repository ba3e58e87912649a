// Products with weights: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/linear/linear.h"
#include "ops/linear/products.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

struct LinearRow {
  const char* name;
  int64_t batch, tokens, in, out;
  bool bias;
};

Case linear_case(const LinearRow& row, int64_t P) {
  Case c = new_case(fmt::format("linear_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.in});
  in.slow(in.normal({row.out, row.in}));
  if (row.bias) in.slow(in.normal({row.out}));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::linear(x[0], slow[0], row.bias ? slow[1] : Tensor())};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor y = x[0].matmul(slow[0].t());
    return {row.bias ? y + slow[1] : y};
  };
  return c;
}

/// A fast weight has planes too: its tangent is given beside it, and is a constant.
Case fast_linear_case(const LinearRow& row, int64_t P) {
  Case c = new_case(fmt::format("fast_linear_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.in});
  in.planed({row.batch, row.out, row.in});
  c.constant_tangents = {1};
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors {
    const Tensor &w = x[1], dw = w.size(0) == 2 ? w.select(0, 1).detach() : Tensor();
    return {ops::fast_linear(x[0], w.select(0, 0), dw)};
  };
  c.formula = [](const Tensors& x, const Tensors&) -> Tensors { return {x[0].bmm(x[1].transpose(1, 2))}; };
  return c;
}

/// As inner steps have it: fp32 where the rows are bf16.
Case fast_linear_with_wide_weight(const LinearRow& row, int64_t P) {
  Case c = fast_linear_case(row, P);
  c.name = fmt::format("fast_linear_{}_wide_weight_P{}", row.name, P);
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors {
    const Tensor w = x[1].scalar_type() == at::kBFloat16 ? x[1].to(at::kFloat) : x[1];
    return {ops::fast_linear(x[0], w.select(0, 0), w.size(0) == 2 ? w.select(0, 1).detach() : Tensor())};
  };
  return c;
}

/// The first fast weight's case: its input has no tangent.
Case fast_linear_without_input_tangent(const LinearRow& row) {
  Case c = fast_linear_case(row, 2);
  c.name = fmt::format("fast_linear_{}_x_without_tangent_P2", row.name);
  std::swap(c.values[0], c.values[1]);
  std::swap(c.tangents[0], c.tangents[1]);
  c.slow = {c.values[1].unsqueeze(0)};
  c.values.resize(1);
  c.tangents.resize(1);
  c.constant_tangents = {0};
  c.engine = [](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::fast_linear(slow[0], x[0].select(0, 0), x[0].select(0, 1).detach())};
  };
  c.formula = [](const Tensors& x, const Tensors& slow) -> Tensors { return {slow[0][0].bmm(x[0].transpose(1, 2))}; };
  return c;
}

const LinearRow kLinearRows[] = {
    {"one_token", 1, 1, 9, 7, false}, {"bias", 2, 5, 16, 33, true},         {"three_tokens", 1, 3, 70, 40, false},
    {"wide", 2, 40, 64, 48, false},   {"eight_tokens", 1, 8, 65, 18, true},
};

struct LinearInputs {
  Tensor x, w, bias;
  explicit LinearInputs(at::ScalarType type)
      : x(at::ones({1, 2, 8}, type)), w(at::ones({5, 8}, type)), bias(at::ones({5}, type)) {}
  void run() const { ops::linear(x, w, bias); }
};
TEST(Refused, products) {
  expect_refused<LinearInputs>({
      {"other columns", [](auto& in) { in.w = in.w.narrow(1, 0, 7); }},
      {"a batch of weights", [](auto& in) { in.w = in.w.unsqueeze(0); }},
      {"a bias that would be spread", [](auto& in) { in.bias = in.bias.narrow(0, 0, 1); }},
      {"weights of another type", [](auto& in) { in.w = in.w.to(at::kHalf); }},
  });
}

struct FastInputs {
  Tensor x, w, dw, rounded;
  explicit FastInputs(at::ScalarType type)
      : x(at::ones({2, 2, 3, 8}, type)),
        w(at::ones({2, 5, 8}, ops::accumulate_type(type))),
        dw(w),
        rounded(w.to(type)) {}
  void run() const { ops::fast_linear(x, w, dw, rounded); }
};
TEST(Refused, products_with_fast_weights) {
  expect_refused<FastInputs>({
      {"weights of more sequences", [](auto& in) { in.w = in.dw = in.rounded = in.w.repeat({2, 1, 1}); }},
      {"other columns", [](auto& in) { in.w = in.dw = in.rounded = in.w.narrow(2, 0, 7); }},
      {"a tangent of other rows", [](auto& in) { in.dw = in.dw.narrow(1, 0, 4); }},
      {"rounded weights of other rows", [](auto& in) { in.rounded = in.rounded.narrow(1, 0, 4); }},
      {"rounded weights of another type", [](auto& in) { in.rounded = in.rounded.to(at::kHalf); }},
  });
}

TEST(Products, the_reference_is_libtorchs_plain_product) {
  const Tensor x = at::randn({1, 3, 64}), w = at::randn({16, 64});
  const ops::ReferenceScope scope;
  EXPECT_EQ(&ops::products_for(x), &ops::product_reference);
  EXPECT_TRUE(ops::linear(x, w).equal(at::mm(x[0], w.t()).unsqueeze(0)));
}

}  // namespace

std::vector<Case> linear_cases(int64_t P) {
  std::vector<Case> cases;
  for (const auto& row : kLinearRows) {
    cases.push_back(linear_case(row, P));
    if (row.bias) continue;
    cases.push_back(fast_linear_case(row, P));
    cases.push_back(fast_linear_with_wide_weight(row, P));
    if (P == 2) cases.push_back(fast_linear_without_input_tangent(row));
  }
  return cases;
}

}  // namespace ingrain::test
