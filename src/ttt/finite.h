// Where reading stops being arithmetic: the first loss or inner gradient that is no number.
#pragma once

#include "ops/dual.h"

#include <string>
#include <vector>

namespace ingrain::ttt {

/// Collects inner steps and looks at them, and at losses, when asked: on a GPU looking waits for what is queued there.
class FiniteCheck {
 public:
  FiniteCheck() = default;
  /// An inner step of the chunk that begins at `position`: its loss and its gradient's norm.
  void step(int64_t position, const Tensor& loss_B, const Tensor& norm_B);
  /// What the first loss of nll_Bn (of tokens from `position` on), or else the first step since the last call, that is
  /// not finite is to be reported as; empty if all are finite.
  std::string problem(const Tensor& nll_Bn, int64_t position);
  std::string problem_of_steps();

 private:
  std::vector<int64_t> positions_;
  std::vector<Tensor> steps_;
};

}  // namespace ingrain::ttt
