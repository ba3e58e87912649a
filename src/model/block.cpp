#include "model/block.h"

#include "ops/linear/linear.h"
#include "ops/residual/residual.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"

namespace ingrain {
namespace {

/// h + post_norm(y), or h + y where the family has no post-norm. A plane that h lacks is a zero tangent.
Tensor add_branch(const Tensor& h_P, const Tensor& y_P, const Tensor& post_norm_D, double eps, const Tap& tap,
                  const char* what, int64_t block) {
  if (tap) tap(what, block, post_norm_D.defined() ? ops::rms_norm(y_P, post_norm_D, eps) : y_P);
  if (post_norm_D.defined()) return ops::add_rms_norm(h_P, y_P, post_norm_D, eps);
  return ops::add_residual(h_P, y_P);
}

}  // namespace

Tensor mixer_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const Carry& carry,
                  const ops::RopeTable& rope, const Tap& tap, int64_t block) {
  const Tensor x_PBTD = ops::rms_norm(h_PBTD, w.attn_norm_D, c.rms_eps);
  const Tensor y_PBTD = mixer_of(c, block).mix({c, w, rope, carry, block}, x_PBTD);
  return add_branch(h_PBTD, y_PBTD, w.attn_post_norm_D, c.rms_eps, tap, "attn", block);
}

Tensor fast_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const FastMlp& fast, const Tap& tap,
                 int64_t block) {
  const Tensor x_PBTD = ops::rms_norm(h_PBTD, w.fast_norm_D, c.rms_eps);
  const Tensor u_PBTF =
      ops::swiglu(ops::fast_linear(x_PBTD, fast.w.w13_FD, fast.dw.w13_FD, fast.rounded.w13_FD, fast.whose_B));
  const Tensor y_PBTD = ops::fast_linear(u_PBTF, fast.w.w2_DF, fast.dw.w2_DF, fast.rounded.w2_DF, fast.whose_B);
  return add_branch(h_PBTD, y_PBTD, w.fast_post_norm_D, c.rms_eps, tap, "fast", block);
}

Tensor mlp_step(const ModelConfig& c, const BlockWeights& w, const Tensor& h_PBTD, const Tap& tap, int64_t block) {
  const Tensor x_PBTD = ops::rms_norm(h_PBTD, w.mlp_norm_D, c.rms_eps);
  const Tensor u_PBTF = ops::swiglu(ops::linear(x_PBTD, w.mlp.w13_FD));
  const Tensor y_PBTD = ops::linear(u_PBTF, w.mlp.w2_DF);
  const Tensor out_PBTD = add_branch(h_PBTD, y_PBTD, w.mlp_post_norm_D, c.rms_eps, tap, "mlp", block);
  if (tap) tap("block", block, out_PBTD);
  return out_PBTD;
}

}  // namespace ingrain
