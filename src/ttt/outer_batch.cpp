#include "ttt/outer_batch.h"

#include "base/error.h"
#include "model/device.h"
#include "model/vocabulary.h"
#include "ttt/inner_step.h"

namespace ingrain::ttt {

OuterBatch split_batch(const ModelConfig& c, const Tensor& tokens_BT1, at::Device device) {
  const int64_t T = tokens_BT1.size(1) - 1;
  require(T >= c.chunk && T % c.chunk == 0,
          "a training sequence of {} tokens is not a positive multiple of the chunk ({})", T, c.chunk);
  require_in_vocabulary(tokens_BT1, c.vocab_size, "training tokens");
  const Tensor there_BT1 = upload(tokens_BT1, device);
  OuterBatch batch{there_BT1.narrow(1, 0, T).contiguous(), there_BT1.narrow(1, 1, T).contiguous(), {}};
  batch.valid_BT = batch.target_BT.ne(c.bos_id);
  return batch;
}

Tensor chunk_losses(const ModelConfig& c, const Tensor& nll_BT, const Tensor& valid_BT) {
  const Tensor weight_NC = mean_weights(valid_BT.reshape({-1, c.chunk}), nll_BT.scalar_type());
  return (weight_NC * nll_BT.reshape({-1, c.chunk})).sum(1).view({nll_BT.size(0), -1});
}

}  // namespace ingrain::ttt
