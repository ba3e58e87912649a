// The rule of the inner step, for every sequence on its own (docs/mathematics.md, "The inner optimizer"):
//
//   s  = 1 if |g| > 0, else 0: a chunk none of whose targets count makes no step
//   M' = M + s (g min(1, c / |g|) - (1 - beta) M)
//   D  = M', or matrix by matrix what is left of it when its singular values are made alike (Muon)
//   W' = W - s (eta D + delta (W - W_0))
//
// and its transpose, by which training goes back through it. Without momentum there is no M, and M' is the clipped
// gradient; with neither decay nor Muon the rule is clipped SGD, one kernel.
#pragma once

#include "model/weights.h"

namespace ingrain::ttt {

/// The fast weights of B sequences, and M where there is momentum (otherwise empty): [B, ...], fp32 (fp64).
struct FastState {
  std::vector<Mlp> W_S, M_S;
};

/// The rule of a model that computes in a type: Muon's products are of that type, too, where they are fast.
struct StepRule {
  const ModelConfig& config;
  at::ScalarType compute;
};

/// M of sequences that have made no step, or nothing where the model's rule has no momentum.
std::vector<Mlp> resting_momentum(const ModelConfig& config, const std::vector<Mlp>& W_S);

/// out.W = W', out.M = M'; `out` may be `now`. W0_S: without B. eta_S: a rate for every suffix block, on their device.
/// rounded: empty, or what out.W's values go to in bf16, too. Returns |g| over all fast weights of a sequence, [B].
Tensor inner_step(const StepRule& rule, const std::vector<Mlp>& W0_S, const Tensor& eta_S, const FastState& now,
                  const std::vector<Mlp>& g_S, const FastState& out, const std::vector<Mlp>& rounded_S = {});

/// The same in pieces, up to the order of sums: |g|, then block by block.
Tensor inner_norm(const std::vector<Mlp>& g_S);
void inner_step_of_block(const StepRule& rule, int64_t block, const std::vector<Mlp>& W0_S, const Tensor& eta_S,
                         const FastState& now, const std::vector<Mlp>& g_S, const Tensor& norm_B, const FastState& out);

/// A step that was made, as far as its transpose needs it. M_S: M', empty without momentum.
struct StepMade {
  const std::vector<Mlp>&g_S, &M_S;
  Tensor norm_B;
};

/// What goes back from step to step, each like the fast weights.
struct Cotangents {
  std::vector<Mlp> lambda_S;    // dJ/dW
  std::vector<Mlp> rho_S;       // -dJ/dM; empty without momentum
  std::vector<Mlp> of_start_S;  // what dJ/dW_0 gets by the decays; empty without decay

  static Cotangents zeros(const ModelConfig& config, const std::vector<Mlp>& like_S);
};

/// Takes J's cotangents from those of (W', M') to those of (W, M), but for what W has by way of g: that is the
/// derivative of g along the direction that it returns, lambda' = -dJ/dg (the tangent method). eta_rate_S: undefined,
/// or gets dJ/d(eta_l) added, [S].
std::vector<Mlp> inner_step_transposed(const StepRule& rule, const Tensor& eta_S, const StepMade& step, Cotangents& J,
                                       const Tensor& eta_rate_S = {});

}  // namespace ingrain::ttt
