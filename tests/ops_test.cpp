// Every operation, one table. In fp64 the reference formulas must equal autograd on plain ATen formulas (whose tangents
// come from reverse over reverse) and finite differences; in fp32 and bf16 the kernels must equal the reference on
// every instruction set that this processor has. A new operation is one more row of `ops_table.cpp`.
#include "ops_table.h"

#include "ops/autograd.h"
#include "ops/backend.h"
#include "ops/checks.h"
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/residual/residual.h"
#include "ops/sgd/sgd.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"
#include "instruction_sets.h"
#include "placing.h"
#include "threads.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <ATen/CPUGeneratorImpl.h>

#include <limits>

namespace ingrain::test {
namespace {

Tensors leaves(const Tensors& inputs) {
  Tensors out;
  for (const Tensor& x : inputs) out.push_back(x.detach().clone().requires_grad_());
  return out;
}

Tensor dot(const Tensors& a, const Tensors& b) {
  Tensor sum = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < b.size(); ++i) sum = sum + (a[i].to(at::kDouble) * b[i].to(at::kDouble)).sum();
  return sum;
}

/// Gradients of `y` for all inputs; where there is none, zeros.
Tensors gradients(const Tensor& y, const Tensors& inputs, bool create_graph = false) {
  auto g = ops::gradients({y}, inputs, {}, {.create_graph = create_graph, .allow_unused = true});
  for (size_t i = 0; i < g.size(); ++i)
    if (!g[i].defined()) g[i] = at::zeros_like(inputs[i]);
  return g;
}

Tensors concat(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The directional derivative of a formula, differentiable itself: the derivative by u of <u, J dx>.
Tensors tangents(const Tensors& y, const Tensors& x, const Tensors& dx) {
  Tensors u;
  for (const Tensor& y_i : y) u.push_back(at::zeros_like(y_i).requires_grad_());
  return gradients(dot(gradients(dot(y, u), x, true), dx), u, true);
}

struct Outcome {
  Tensors outputs, gradients;
};

/// Cotangents of the differentiable outputs, the same for every way to compute them.
Tensors cotangents(const Case& c, const Tensors& outputs) {
  Tensors g;
  for (size_t i = 0; i < outputs.size() - c.values_only; ++i)
    g.push_back(at::randn(outputs[i].sizes(), at::make_generator<at::CPUGeneratorImpl>(7 + i), at::kDouble)
                    .to(outputs[i].device()));
  return g;
}

Outcome by_autograd(const Case& c) {
  const Tensors x = leaves(c.values), dx = leaves(c.tangents), slow = leaves(c.slow);
  const Tensors y = c.formula(x, slow);
  Outcome out;
  Tensors inputs = concat(x, slow);
  if (c.planes == 2) {
    out.outputs = c.finish(y, tangents(y, x, dx));
    inputs = concat(inputs, dx);
  } else {
    out.outputs = c.finish(y, {});
  }
  const Tensors g = gradients(dot(out.outputs, cotangents(c, out.outputs)), inputs);
  for (size_t i = 0; i < x.size(); ++i) {
    const Tensor tangent = c.planes == 2 ? g[x.size() + slow.size() + i] : Tensor();
    out.gradients.push_back(c.planes == 1
                                ? g[i].unsqueeze(0)
                                : at::stack({g[i], c.has_constant_tangent(i) ? at::zeros_like(tangent) : tangent}));
  }
  for (size_t i = 0; i < slow.size(); ++i) out.gradients.push_back(g[x.size() + i]);
  return out;
}

Tensors planed_inputs(const Case& c) {
  Tensors inputs;
  for (size_t i = 0; i < c.values.size(); ++i)
    inputs.push_back(c.planes == 1 ? c.values[i].unsqueeze(0) : at::stack({c.values[i], c.tangents[i]}));
  return inputs;
}

Outcome by_engine(const Case& c, const Tensors& planed, const Tensors& slow) {
  Outcome out;
  out.outputs = c.engine(planed, slow);
  Tensors differentiable(out.outputs.begin(), out.outputs.end() - static_cast<int64_t>(c.values_only));
  out.gradients = gradients(dot(differentiable, cotangents(c, out.outputs)), concat(planed, slow));
  return out;
}

void expect_close(const Tensors& got, const Tensors& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].sizes(), want[i].sizes()) << what << ' ' << i;
    if (want[i].numel() == 0) continue;
    const Tensor a = got[i].detach().to(at::kDouble).cpu(), b = want[i].detach().to(at::kDouble);
    const double scale = std::max(b.abs().max().item<double>(), 0.3);  // what cancels to zero keeps its terms' rounding
    const double error = (a - b).abs().max().item<double>();
    EXPECT_LE(error, tolerance * scale) << what << ' ' << i << " of largest value " << scale;
    EXPECT_FALSE(a.isnan().any().item<bool>()) << what << ' ' << i;
  }
}

class Operations : public testing::TestWithParam<Case> {};

TEST_P(Operations, reference_equals_autograd) {
  const Case& c = GetParam();
  const Outcome want = by_autograd(c);
  const Outcome got = by_engine(c, leaves(planed_inputs(c)), leaves(c.slow));
  expect_close(got.outputs, want.outputs, 1e-9, "output");
  expect_close(got.gradients, want.gradients, 1e-8, "gradient of input");
}

TEST_P(Operations, gradients_equal_finite_differences) {
  const Case& c = GetParam();
  const Tensors planed = leaves(planed_inputs(c)), inputs = concat(planed, leaves(c.slow));
  const Tensors slow(inputs.begin() + static_cast<int64_t>(planed.size()), inputs.end());
  const Outcome at_point = by_engine(c, planed, slow);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].numel() == 0) continue;
    Tensor direction = at::randn(inputs[i].sizes(), at::make_generator<at::CPUGeneratorImpl>(99 + i), at::kDouble);
    if (c.planes == 2 && i < planed.size() && c.has_constant_tangent(i)) direction.select(0, 1).zero_();
    const auto objective_at = [&](double step) {
      Tensors moved = inputs;
      moved[i] = inputs[i] + step * direction;
      const auto middle = moved.begin() + static_cast<int64_t>(planed.size());
      const Tensors outputs = c.engine({moved.begin(), middle}, {middle, moved.end()});
      return dot(outputs, cotangents(c, outputs)).item<double>();
    };
    const double h = 1e-5, numeric = (objective_at(h) - objective_at(-h)) / (2 * h);
    const double analytic = (at_point.gradients[i] * direction).sum().item<double>();
    EXPECT_NEAR(numeric, analytic, 1e-5 * std::max(1.0, std::abs(analytic))) << "input " << i;
  }
}

/// A GPU has one kernel, whatever the processor.
template <class Check>
void on_every_kernel(at::Device device, const Check& check) {
  if (device.is_cpu())
    on_every_instruction_set(check);
  else
    check();
}

void expect_kernels_equal_reference(const Case& c, const Placing& placing, at::ScalarType type, double tolerance) {
  Tensors planed, slow, exact_planed, exact_slow;
  for (const Tensor& x : planed_inputs(c)) planed.push_back(placing.place(x, type).requires_grad_());
  for (size_t i = 0; i < c.slow.size(); ++i)
    slow.push_back(placing.place(c.slow[i], c.is_wide(i) ? at::kFloat : type).requires_grad_());
  for (const Tensor& x : planed) exact_planed.push_back(x.to(at::kDouble).cpu());
  for (const Tensor& x : slow) exact_slow.push_back(x.to(at::kDouble).cpu());
  const Outcome want = by_engine(c, leaves(exact_planed), leaves(exact_slow));
  on_every_kernel(placing.device, [&] {
    const Outcome got = by_engine(c, planed, slow);
    for (const Tensor& y : got.outputs) EXPECT_TRUE(y.scalar_type() == type || y.scalar_type() == at::kFloat);
    expect_close(got.outputs, want.outputs, tolerance, "output");
    expect_close(got.gradients, want.gradients, 2 * tolerance, "gradient of input");
  });
}

void expect_fp32_equal(const Case& c, at::Device device) {
  for (const Placing& p : placings(device)) expect_kernels_equal_reference(c, p, at::kFloat, 1e-5);
}
void expect_bf16_equal(const Case& c, at::Device device) {
  for (const Placing& p : placings(device)) expect_kernels_equal_reference(c, p, at::kBFloat16, 1e-2);
}

TEST_P(Operations, kernels_equal_the_reference_in_fp32) { expect_fp32_equal(GetParam(), at::kCPU); }
TEST_P(Operations, kernels_equal_the_reference_in_bf16) { expect_bf16_equal(GetParam(), at::kCPU); }

TEST(DecodeAttention, by_several_threads_equal_the_reference) {
  const Threads threads(4);
  for (const Case& c : all_cases()) {
    if (c.name.find("decode") == std::string::npos) continue;
    SCOPED_TRACE(c.name);
    expect_fp32_equal(c, at::kCPU);
    expect_bf16_equal(c, at::kCPU);
  }
}

/// Without gradients, as only then it has a kernel of its own; with them it is in the table.
TEST(Residual, without_gradients_is_the_same_sum) {
  on_every_instruction_set([] {
    for (const Placing& placing : placings(at::kCPU))
      for (const auto type : {at::kFloat, at::kBFloat16})
        for (const int64_t n : {1, 15, 16, 33, 40000}) {
          const Tensor a = placing.place(at::randn({2, n}), type), b = placing.place(at::randn({2, n}), type);
          EXPECT_TRUE(ops::add_residual(a, b).equal(a + b)) << type << " " << n;
          const Tensor value = a.narrow(0, 0, 1), sum = ops::add_residual(value, b);
          EXPECT_TRUE(sum.equal(at::stack({a[0] + b[0], b[1]}))) << "a missing plane";
          const Tensor scaled = ops::add_residual(a, b, 0.22);
          const double half_a_step = type == at::kFloat ? 1e-6 : 1.0 / 256;
          EXPECT_TRUE(scaled.to(at::kDouble).allclose(a.to(at::kDouble) + 0.22 * b.to(at::kDouble), half_a_step, 1e-6))
              << type << " " << n;
        }
  });
}

/// The whole table on a GPU; where there is none, tests/cuda_on_cpu runs the same kernels on an acted-out one. Two
/// tests: a kernel that breaks the GPU's context takes all after it along, and the other half can still be run.
void expect_equal_on_cuda(int64_t planes) {
  for (const Case& c : all_cases()) {
    if (c.planes != planes) continue;
    SCOPED_TRACE(c.name);
    EXPECT_NO_THROW(expect_fp32_equal(c, at::kCUDA));  // a case that fails must not hide the others
    EXPECT_NO_THROW(expect_bf16_equal(c, at::kCUDA));
  }
}
TEST(OperationsOnCuda, kernels_equal_the_reference) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  expect_equal_on_cuda(1);
}
TEST(OperationsOnCuda, kernels_of_dual_numbers_equal_the_reference) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  expect_equal_on_cuda(2);
}

/// Not differentiable, so not in the table: sequences whose norm is clipped, is not clipped, is zero, and is not a
/// number.
void expect_clipped_sgd_equal(const Placing& placing) {
  const auto numbers = [](at::IntArrayRef sizes, double scale, uint64_t seed) {
    return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble) * scale;
  };
  const Tensors w{numbers({4, 33, 17}, 1, 1), numbers({4, 5, 7001}, 1, 2)};
  Tensors g{numbers({4, 33, 17}, 1, 3), numbers({4, 5, 7001}, 1, 4)};
  for (Tensor& x : g) {
    x[1].mul_(1e-4);
    x[2].zero_();
  }
  g[1][3][0][0] = std::numeric_limits<double>::quiet_NaN();
  const Tensor eta = at::tensor({0.5, 0.25}, at::kDouble);
  const Tensors want{at::empty_like(w[0]), at::empty_like(w[1])};
  const Tensor want_norm = ops::clipped_sgd(w, g, eta, 1.0, want);
  EXPECT_NEAR((want[0][0] - w[0][0] + 0.5 * g[0][0] / want_norm[0]).abs().max().item<double>(), 0, 1e-12);
  EXPECT_NEAR((want[1][1] - w[1][1] + 0.25 * g[1][1]).abs().max().item<double>(), 0, 1e-12);
  on_every_kernel(placing.device, [&] {
    Tensors in_place, gradients, rounded;
    for (size_t i = 0; i < w.size(); ++i) {
      in_place.push_back(placing.place(w[i], at::kFloat));
      gradients.push_back(placing.place(g[i], at::kFloat));
      rounded.push_back(placing.place(w[i], at::kBFloat16));
    }
    const Tensor norm =
        ops::clipped_sgd(in_place, gradients, eta.to(placing.device, at::kFloat), 1.0, in_place, rounded);
    const auto sane = [](const Tensor& x) { return x.narrow(0, 0, 3); };
    expect_close({sane(in_place[0]), sane(in_place[1]), sane(norm)}, {sane(want[0]), sane(want[1]), sane(want_norm)},
                 1e-6, "output");
    for (size_t i = 0; i < w.size(); ++i) EXPECT_TRUE(sane(rounded[i]).equal(sane(in_place[i]).to(at::kBFloat16)));
    EXPECT_TRUE(norm[3].isnan().item<bool>() && in_place[0][3].isnan().all().item<bool>()) << "the mistake must show";
  });
}

TEST(ClippedSgd, kernel_equals_the_reference) {
  for (const Placing& p : placings(at::kCPU)) expect_clipped_sgd_equal(p);
}
TEST(ClippedSgd, kernel_equals_the_reference_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  for (const Placing& p : placings(at::kCUDA)) expect_clipped_sgd_equal(p);
}

/// The head's gradient, added to a sum instead of given to autograd: the same, but in the sum's type, and to what was
/// there.
void expect_head_summed(at::Device device) {
  for (const int64_t P : {1, 2})
    for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(fmt::format("{} planes {}", P, at::toString(type)));
      const auto random = at::make_generator<at::CPUGeneratorImpl>(5);
      const auto sums = ops::accumulate_type(type);
      const auto numbers = [&](at::IntArrayRef sizes, at::ScalarType as) {
        return at::randn(sizes, random, at::kDouble).to(device, as);
      };
      const Tensor x = numbers({P, 300, 8}, type).requires_grad_(), E = numbers({64, 8}, type).requires_grad_();
      const Tensor target_N = at::arange(300).remainder(64).to(device), a_N = numbers({300}, sums),
                   c_N = P == 2 ? a_N.flip(0).contiguous() : Tensor();
      const Tensor objective = ops::linear_cross_entropy(x, E, target_N, a_N, c_N).objective;
      const auto want = ops::gradients({objective}, {x, E}, {at::ones_like(objective)});
      const Tensor sum = at::ones({64, 8}, x.options().dtype(sums).requires_grad(false));
      const Tensor other = ops::linear_cross_entropy(x, E, target_N, a_N, c_N, sum).objective;
      EXPECT_TRUE(ops::gradients({other}, {x}, {at::ones_like(other)})[0].equal(want[0]));
      expect_close({sum - 1}, {want[1].cpu().to(sums)}, type == at::kBFloat16 ? 1e-2 : 1e-5, "gradient");
      ops::linear_cross_entropy(x.detach(), E, target_N, a_N, c_N, sum);
      expect_close({sum - 1}, {2 * want[1].cpu().to(sums)}, type == at::kBFloat16 ? 1e-2 : 1e-5, "gradient");
    }
}
TEST(LinearCrossEntropy, kernels_add_the_heads_gradient_to_a_sum) { expect_head_summed(at::kCPU); }
TEST(LinearCrossEntropy, kernels_add_the_heads_gradient_to_a_sum_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  expect_head_summed(at::kCUDA);
}

/// Rounding, exp and the running maximum are written by hand for every instruction set.
TEST(Kernels, nan_stays_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  on_every_instruction_set([&] {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(at::toString(type));
      const Tensor gate = at::ones({1, 1, 2 * 33}, type), q = at::ones({1, 1, 40, 2, 16}, type);
      gate[0][0][3] = nan;
      q[0][0][20][1][5] = nan;
      const Tensor y = ops::swiglu(gate),
                   o = ops::windowed_attention(q, at::ones_like(q), at::ones_like(q), {}, 64, 0.25);
      EXPECT_EQ(y.isnan().sum().item<int64_t>(), 1);
      EXPECT_TRUE(y[0][0][3].isnan().item<bool>());
      EXPECT_EQ(o.isnan().sum().item<int64_t>(), 16);
      EXPECT_TRUE(o[0][0][20][1].isnan().all().item<bool>());
    }
  });
}

INSTANTIATE_TEST_SUITE_P(table, Operations, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ingrain::test
