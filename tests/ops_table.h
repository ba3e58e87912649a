// What ops_test.cpp needs to know of an operation's case: its inputs, how the engine computes it, and a plain formula.
#pragma once

#include "ops/dual.h"

#include <ATen/CPUGeneratorImpl.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace ingrain::test {

using Tensors = std::vector<Tensor>;

struct Case {
  std::string name;  // operation_shape_P
  int64_t planes = 1;
  Tensors values, tangents;               // fp64; the inputs that have planes, without the plane axis
  Tensors slow;                           // fp64; inputs with a zero tangent
  std::vector<size_t> wide;               // which slow inputs stay fp32 whatever the activations' type
  std::vector<size_t> constant_tangents;  // which planed inputs' tangents get no gradient
  size_t values_only = 0;                 // the last so many outputs are not differentiable

  /// The operation itself: inputs [P, ...], then the slow ones, to its outputs.
  std::function<Tensors(const Tensors& planed, const Tensors& slow)> engine;
  /// The same on values alone, in differentiable ATen operations.
  std::function<Tensors(const Tensors& values, const Tensors& slow)> formula;
  /// What the engine's outputs are made of: the formula's, and their tangents (empty where P = 1).
  std::function<Tensors(const Tensors& y, const Tensors& dy)> finish;

  bool is_wide(size_t i) const;
  bool has_constant_tangent(size_t i) const;
};

/// Fills a case's inputs from one seeded stream, so that every run sees the same numbers.
class Inputs {
 public:
  explicit Inputs(Case& c) : case_(c), generator_(at::make_generator<at::CPUGeneratorImpl>(1234)) {}

  Tensor normal(at::IntArrayRef sizes, double scale = 1) { return at::randn(sizes, generator_, at::kDouble) * scale; }
  void planed(at::IntArrayRef sizes, double scale = 1) {
    case_.values.push_back(normal(sizes, scale));
    case_.tangents.push_back(normal(sizes, scale));
  }
  void slow(const Tensor& x) { case_.slow.push_back(x); }
  void wide(const Tensor& x) {
    case_.wide.push_back(case_.slow.size());
    slow(x);
  }

 private:
  Case& case_;
  at::Generator generator_;
};

/// Of an operation whose tangents are the formula's.
Case new_case(const std::string& name, int64_t planes);

constexpr double kEps = 1e-6;
inline Tensor plain_norm(const Tensor& x, const Tensor& w) {
  return x * (x.square().mean(-1, true) + kEps).rsqrt() * w;
}

inline void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

/// Of all operations: what NAME_cases(P) in src/ops/NAME/test.cpp gives, for ordinary tensors and for duals.
std::vector<Case> all_cases();

}  // namespace ingrain::test
