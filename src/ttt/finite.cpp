#include "ttt/finite.h"

#include <fmt/format.h>

#include <utility>

namespace ingrain::ttt {
namespace {

constexpr int64_t kTile = 64;  // at most so many tokens share one of attention's products

std::string report(int64_t position, const char* what) {
  return fmt::format(
      "position {}: {} is not finite, so reading has stopped (what spoils it is there or up to {} tokens later: "
      "attention takes tokens by tiles); compute in fp32 if this was another type; if it was fp32, the model cannot "
      "read this text",
      position, what, kTile);
}

/// The first column of x [B, n] that is not finite in every row, or -1.
int64_t first_bad(const Tensor& x_Bn) {
  const Tensor bad = x_Bn.isfinite().all(0).logical_not().nonzero().cpu();
  return bad.numel() > 0 ? bad[0].item<int64_t>() : -1;
}

}  // namespace

void FiniteCheck::step(int64_t position, const Tensor& loss_B, const Tensor& norm_B) {
  positions_.push_back(position);
  steps_.push_back(at::cat({loss_B, norm_B}));  // a copy: the step's tensors are the next one's, too
}

std::string FiniteCheck::problem(const Tensor& nll_Bn, int64_t position) {
  const int64_t bad = nll_Bn.size(1) > 0 ? first_bad(nll_Bn) : -1;
  return bad >= 0 ? report(position + bad, "the loss") : problem_of_steps();
}

std::string FiniteCheck::problem_of_steps() {
  if (steps_.empty()) return {};
  const int64_t bad = first_bad(at::stack(std::exchange(steps_, {}), 1));
  const std::vector<int64_t> positions = std::exchange(positions_, {});
  if (bad < 0) return {};
  return report(positions[static_cast<size_t>(bad)], "the loss or its gradient in the chunk that begins there");
}

}  // namespace ingrain::ttt
