#include "base/error.h"
#include "model/device.h"
#include "model/rope.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ttt/chunk.h"
#include "ttt/outer_gradient.h"

namespace ingrain::ttt {

OuterBatch split_batch(const ModelConfig& c, const Tensor& tokens_BT1, at::Device device) {
  const int64_t T = tokens_BT1.size(1) - 1;
  require(T >= c.chunk && T % c.chunk == 0, "a training sequence of {} tokens is not a positive multiple of the chunk ({})", T, c.chunk);
  const auto [least, greatest] = tokens_BT1.aminmax();
  require(least.item<int64_t>() >= 0 && greatest.item<int64_t>() < c.vocab_size,
          "training tokens hold an id outside 0 .. {}; were they made with another tokenizer?", c.vocab_size - 1);
  const Tensor there_BT1 = upload(tokens_BT1, device);
  OuterBatch batch{there_BT1.narrow(1, 0, T).contiguous(), there_BT1.narrow(1, 1, T).contiguous(), {}};
  batch.valid_BT = batch.target_BT.ne(c.bos_id);
  return batch;
}

Tensor chunk_losses(const ModelConfig& c, const Tensor& nll_BT, const Tensor& valid_BT) {
  const Tensor weight_NC = mean_weights(valid_BT.reshape({-1, c.chunk}), nll_BT.scalar_type());
  return (weight_NC * nll_BT.reshape({-1, c.chunk})).sum(1).view({nll_BT.size(0), -1});
}

OuterLoss standard_gradient(const ModelConfig& c, const GradientSlots& slots, const Tensor& tokens_BT1,
                            const GradientOptions& options) {
  const OuterBatch batch = split_batch(c, tokens_BT1, slots.leaves().device());
  const int64_t B = batch.input_BT.size(0), T = batch.input_BT.size(1), n = T / c.chunk;
  const auto type = master_type(slots.leaves().type());
  BlockStack stack(c, slots, c.num_layers, /*attention_of_next=*/false, options.recompute);
  const auto rope = rope_table(c, 0, T, type, batch.input_BT.device());
  const Tensor h_BTD = stack.forward(batch.input_BT, rope, options.tap).detach().requires_grad_();

  const at::AutoGradMode grad(true);
  const Tensor x_PBTD = ops::rms_norm(h_BTD.unsqueeze(0), slots.leaves().final_norm_D, c.rms_eps);
  const Tensor weight_BnB = mean_weights(batch.valid_BT.view({B * n, c.chunk}), type);  // each chunk's mean by itself
  const double share = options.loss_scale / static_cast<double>(n * B);
  const auto loss = ops::linear_cross_entropy(x_PBTD.flatten(1, 2), slots.leaves().head(), batch.target_BT.flatten(),
                                              weight_BnB.flatten() * share, {}, slots.head_sum());
  const Tensor g_BTD = GradientSlots::backward({loss.objective}, {at::ones_like(loss.objective)}, slots.final_norm_slots(), {h_BTD})[0];
  stack.backward(g_BTD);

  OuterLoss out;
  out.nll_BT = loss.nll_N.view({B, T});
  out.chunk_loss_BC = chunk_losses(c, out.nll_BT, batch.valid_BT);
  return out;
}

}  // namespace ingrain::ttt
