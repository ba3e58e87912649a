#include "model/block.h"

#include "ops/linear/linear.h"
#include "ops/residual/residual.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"

#include <algorithm>

namespace ingrain {
namespace {

/// norm(h), or h where the family has norms after its branches only.
Tensor before_branch(const ModelConfig& c, const Tensor& h_P, const Tensor& norm_D) {
  return norm_D.defined() ? ops::rms_norm(h_P, norm_D, c.rms_eps) : h_P;
}

/// h + post_norm(y), or h + scale y where the family has no post-norm. A plane that h lacks is a zero tangent.
Tensor add_branch(const ModelConfig& c, const Tensor& h_P, const Tensor& y_P, const Tensor& post_norm_D, const Tap& tap,
                  const char* what, int64_t block) {
  if (tap) tap(what, block, post_norm_D.defined() ? ops::rms_norm(y_P, post_norm_D, c.rms_eps) : y_P);
  if (post_norm_D.defined()) return ops::add_rms_norm(h_P, y_P, post_norm_D, c.rms_eps);
  return ops::add_residual(h_P, y_P, c.residual_scale);
}

Tensor gated(const ModelConfig& c, int64_t block, const Tensor& ab_P) {
  const bool gelu = c.layer(block).activation == Activation::gelu_tanh;
  return ops::swiglu(ab_P, gelu ? ops::Gate::gelu_tanh : ops::Gate::silu);
}

/// x times one matrix of the fast MLP, the early tokens' rows by their own.
Tensor fast_product(const FastMlp& fast, const Tensor Mlp::* matrix, const Tensor& x_PBTD) {
  const auto late = [&](const Tensor& x) {
    return ops::fast_linear(x, fast.w.*matrix, fast.dw.*matrix, fast.rounded.*matrix, fast.whose_B);
  };
  const auto early = [&](const Tensor& x) { return ops::fast_linear(x, fast.early.*matrix, fast.early_dw.*matrix); };
  const int64_t T = x_PBTD.size(2), rows = std::min(fast.early_rows, T);
  if (rows == 0) return late(x_PBTD);
  if (rows == T) return early(x_PBTD);
  return at::cat({early(x_PBTD.narrow(2, 0, rows)), late(x_PBTD.narrow(2, rows, T - rows))}, 2);
}

}  // namespace

Tensor mixer_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const Carry& carry,
                  const Rope& rope, const Tap& tap, int64_t block) {
  const Tensor x_PBTD = before_branch(c, h_PBTD, w.attn_norm_D);
  const Tensor y_PBTD = mixer_of(c, block).mix({c, w, rope, carry, block}, x_PBTD);
  return add_branch(c, h_PBTD, y_PBTD, w.attn_post_norm_D, tap, "attn", block);
}

Tensor fast_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const FastMlp& fast, const Tap& tap,
                 int64_t block) {
  const Tensor x_PBTD = ops::rms_norm(h_PBTD, w.fast_norm_D, c.rms_eps);
  const Tensor u_PBTF = gated(c, block, fast_product(fast, &Mlp::w13_FD, x_PBTD));
  const Tensor y_PBTD = fast_product(fast, &Mlp::w2_DF, u_PBTF);
  return add_branch(c, h_PBTD, y_PBTD, w.fast_post_norm_D, tap, "fast", block);
}

Tensor mlp_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const Tap& tap, int64_t block) {
  Tensor out_PBTD = h_PBTD;
  if (c.layer(block).mlp) {
    const Tensor x_PBTD = before_branch(c, h_PBTD, w.mlp_norm_D);
    const Tensor u_PBTF = gated(c, block, ops::linear(x_PBTD, w.mlp.w13_FD));
    out_PBTD = add_branch(c, h_PBTD, ops::linear(u_PBTF, w.mlp.w2_DF), w.mlp_post_norm_D, tap, "mlp", block);
  }
  if (tap) tap("block", block, out_PBTD);
  return out_PBTD;
}

}  // namespace ingrain
