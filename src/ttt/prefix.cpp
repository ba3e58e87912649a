#include "ttt/prefix.h"

#include "model/mixers/attention/attention.h"
#include "ops/embedding/embedding.h"

namespace ingrain::ttt {

Tensor run_prefix(const ModelConfig& c, const Weights& w, const Tensor& tokens_Bn, const Rope& prefix_rope,
                  const Rope& suffix_rope, const Carry& carry, const Tap& tap) {
  const at::NoGradGuard no_grad;
  Tensor h_PBnD = ops::embedding(w.embedding_VD, tokens_Bn, c.embedding_scale).unsqueeze(0);
  if (tap) tap("embed", -1, h_PBnD);
  const int64_t mixers = std::min(c.prefix_len() + 1, c.num_layers);
  for (int64_t i = 0; i < mixers; ++i) {
    const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
    const auto& rope = i < c.prefix_len() ? prefix_rope : suffix_rope;
    h_PBnD = mixer_step(c, block, h_PBnD, carry, rope, tap, i);
    if (i < c.prefix_len()) h_PBnD = mlp_step(c, block, h_PBnD, tap, i);
  }
  return ops::primal(h_PBnD);
}

Tensor run_prefix(const ModelConfig& c, const Weights& w, const Tensor& tokens_Bn, const Rope& prefix_rope,
                  const Rope& suffix_rope, std::vector<LayerState>& layer_L, const Tap& tap) {
  // Old and new keys are taken from the cache, where they lie side by side: attention on a GPU wants them in one piece.
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    KvCache& kv = layer_L[static_cast<size_t>(block)].kv();
    kv.append(ops::primal(now.k_PBTGd), ops::primal(now.v_PBTGd));
    const int64_t n = tokens_Bn.size(1), others = c.layer(block).window - 1;
    const ops::KvWindow fresh = kv.last(n), past = kv.before(n, others);
    kv.keep_last(others);
    ops::Heads heads = now;
    heads.k_PBTGd = fresh.k_BWGd.unsqueeze(0);
    heads.v_PBTGd = fresh.v_BWGd.unsqueeze(0);
    const Tensor y_PBnC = attend_window(c, block, heads, past);
    kv.give_back_room();
    return y_PBnC;
  };
  const auto recur = [&](int64_t block, const auto& run) {
    LayerState& layer = layer_L[static_cast<size_t>(block)];
    RecurrentState state = layer.now();
    const Tensor y_PBnD = run(state);
    layer.set_now(std::move(state));
    return y_PBnD;
  };
  return run_prefix(c, w, tokens_Bn, prefix_rope, suffix_rope, {attend, recur}, tap);
}

}  // namespace ingrain::ttt
