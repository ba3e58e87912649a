#include "model/rope.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ttt/inner_step.h"
#include "ttt/outer_batch.h"
#include "ttt/outer_gradient.h"

namespace ingrain::ttt {

OuterLoss standard_gradient(const ModelConfig& c, const GradientSums& gradients, const Tensor& tokens_BT1,
                            const GradientOptions& options) {
  const OuterBatch batch = split_batch(c, tokens_BT1, gradients.leaves().device());
  const int64_t B = batch.input_BT.size(0), T = batch.input_BT.size(1), n = T / c.chunk;
  const auto type = master_type(gradients.leaves().type());
  BlockStack stack(c, gradients, c.num_layers, /*mixer_of_next=*/false, options.recompute, options.pause);
  const auto rope = rope_table(c, 0, T, type, batch.input_BT.device());
  const Tensor h_BTD = stack.forward(batch.input_BT, rope, options.tap).detach().requires_grad_();

  const at::AutoGradMode grad(true);
  const Tensor x_PBTD = ops::rms_norm(h_BTD.unsqueeze(0), gradients.leaves().final_norm_D, c.rms_eps);
  const Tensor weight_BnB = mean_weights(batch.valid_BT.view({B * n, c.chunk}), type);  // each chunk's mean by itself
  const double share = options.loss_scale / static_cast<double>(n * B);
  const auto loss =
      ops::linear_cross_entropy(x_PBTD.flatten(1, 2), gradients.leaves().head(), batch.target_BT.flatten(),
                                weight_BnB.flatten() * share, {}, gradients.head_sum());
  const Tensor g_BTD = GradientSums::backward({loss.objective}, {at::ones_like(loss.objective)},
                                              gradients.slow(Step::final_norm), {h_BTD})[0];
  if (options.settled) options.settled(gradients.begin_of_block(c.num_layers));
  stack.backward(g_BTD, options.settled);

  OuterLoss out;
  out.nll_BT = loss.nll_N.view({B, T});
  out.chunk_loss_BC = chunk_losses(c, out.nll_BT, batch.valid_BT);
  return out;
}

}  // namespace ingrain::ttt
