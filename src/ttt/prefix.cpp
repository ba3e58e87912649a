#include "ttt/prefix.h"

namespace ingrain::ttt {

Tensor run_prefix(const ModelConfig& c, const Weights& w, const Tensor& tokens_Bn, const ops::RopeTable& prefix_rope,
                  const ops::RopeTable& suffix_rope, std::vector<KvCache>& kv_L, const Tap& tap) {
  const at::NoGradGuard no_grad;
  Tensor h_PBnD = at::embedding(w.embedding_VD, tokens_Bn).unsqueeze(0);
  if (tap) tap("embed", -1, h_PBnD);
  const int64_t attention_steps = std::min(c.prefix_len() + 1, c.num_layers);
  for (int64_t i = 0; i < attention_steps; ++i) {
    const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
    KvCache& kv = kv_L[static_cast<size_t>(i)];
    const auto& rope = i < c.prefix_len() ? prefix_rope : suffix_rope;
    const auto step = attention_step(c, block, h_PBnD, kv.last(c.window - 1), rope, tap, i);
    kv.append(ops::value(step.k_PBTGd), ops::value(step.v_PBTGd));
    kv.keep_last(c.window - 1);
    h_PBnD = i < c.prefix_len() ? mlp_step(c, block, step.h_PBTD, tap, i) : step.h_PBTD;
  }
  return ops::value(h_PBnD);
}

}  // namespace ingrain::ttt
