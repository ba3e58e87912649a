#include "model/mixers/kv_binding/kv_binding.h"

#include "model/mixers/recurrent.h"
#include "ops/checks.h"
#include "ops/kv_binding/kv_binding.h"
#include "ops/kv_binding/parts.h"

namespace ingrain {
namespace {

constexpr double kPostNormEps = 1e-6;

Tensor mix_by_binding(const MixerPass& pass, const Tensor& x_PBTD) {
  TORCH_CHECK(x_PBTD.size(0) == 1, "key-value binding has no tangents");
  const ModelConfig& c = pass.config;
  return pass.carry.recur(pass.layer, [&](RecurrentState& state) {
    return kv_binding(c.mixers.of<KvBindingSizes>(), pass.w.mixer.of<KvBindingWeights>(),
                      c.layer(pass.layer).rope_theta, ops::primal(x_PBTD), state)
        .unsqueeze(0);
  });
}

std::vector<StatePart> binding_state(const ModelConfig& c, int64_t) {
  const auto& s = c.mixers.of<KvBindingSizes>();
  const int64_t H = s.heads, d = s.head_dim, F = s.inner;
  std::vector<StatePart> out;
  for (const std::string of : {"learnt.", "gradient."}) {
    out.push_back({of + "W1", {H, d, F}, true});
    out.push_back({of + "b1", {H, F}, true});
    out.push_back({of + "W2", {H, F, d}, true});
    out.push_back({of + "b2", {H, d}, true});
  }
  out.push_back({"place", {1}, true});
  return out;
}

/// Keys forward and backward, the sums of their gradients, the weights less those, queries forward.
double binding_work(const ModelConfig& c) {
  const auto& s = c.mixers.of<KvBindingSizes>();
  return 9.0 * static_cast<double>(s.width() * s.inner);
}

}  // namespace

const LayerMixer kv_binding_mixer{
    .mix = mix_by_binding, .state = binding_state, .parameters = kv_binding_parameters, .state_work = binding_work};

Tensor kv_binding(const KvBindingSizes& s, const KvBindingWeights& w, double theta, const Tensor& x_BTD,
                  RecurrentState& state) {
  const Tensor in_BTC = project(x_BTD, w.in_CD);
  const Tensor place_B1 = state.empty() ? Tensor() : state[8];
  const auto heads = [&](int64_t i) { return heads_of(in_BTC, i * s.width(), s.heads, s.head_dim); };
  const auto rotated = [&](int64_t i) { return ops::rotate_by_place(heads(i), place_B1, s.mini_batch, theta); };
  const double most = s.base_rate / static_cast<double>(s.head_dim);
  auto [o_BTHd, after] =
      ops::kv_binding({.q_BTHd = rotated(0),
                       .k_BTHd = rotated(1),
                       .v_BTHd = heads(2),
                       .rate_BTH = ops::scaled_sigmoid(project(x_BTD, w.rate_HD), w.rate_bias_H, most),
                       .place_rate_C = ops::rates_of_places(w.place_rate_m),
                       .W1_HdF = ops::parameter_heads(w.W1_CF, s.heads),
                       .b1_HF = ops::parameter_heads(w.b1_C, s.heads),
                       .W2_HFd = ops::parameter_heads(w.W2_CF, s.heads, /*transposed=*/true),
                       .b2_Hd = ops::parameter_heads(w.b2_C, s.heads),
                       .norm_H2d = ops::norm_heads(w.norm_C, w.norm_bias_C, s.heads),
                       .state = state});
  state = std::move(after);
  return project(ops::layer_norm(o_BTHd.flatten(2), w.post_norm_C, w.post_bias_C, kPostNormEps), w.out_DC);
}

}  // namespace ingrain
