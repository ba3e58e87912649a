#include "model/mixers/gated_delta_net2/gated_delta_net2.h"

#include "model/mixers/gated_delta_net/state.h"
#include "model/mixers/recurrent.h"
#include "ops/contiguous.h"
#include "ops/erase_write/erase_write.h"
#include "ops/erase_write/parts.h"
#include "ops/gated_delta/parts.h"
#include "ops/short_conv/short_conv.h"

#include <cmath>

namespace ingrain {
namespace {

Tensor mix_by_erase_write(const MixerPass& pass, const Tensor& x_PBTD) {
  TORCH_CHECK(x_PBTD.size(0) == 1, "a Gated DeltaNet-2 has no tangents");
  const ModelConfig& c = pass.config;
  return pass.carry.recur(pass.layer, [&](RecurrentState& state) {
    return gated_delta_net2(c.mixers.of<GatedDeltaNet2Sizes>(), pass.w.mixer.of<GatedDeltaNet2Weights>(), c.rms_eps,
                            ops::primal(x_PBTD), state)
        .unsqueeze(0);
  });
}

}  // namespace

const LayerMixer gated_delta_net2_mixer{.mix = mix_by_erase_write,
                                        .state = delta_state<GatedDeltaNet2Sizes>,
                                        .parameters = gated_delta_net2_parameters,
                                        .state_work = delta_work<GatedDeltaNet2Sizes>};

Tensor gated_delta_net2(const GatedDeltaNet2Sizes& s, const GatedDeltaNet2Weights& w, double eps, const Tensor& x_BTD,
                        RecurrentState& state) {
  const bool first = state.empty();
  const auto [mixed_BTC, tail_BnC] = ops::short_conv(project(x_BTD, w.in_CD), w.conv_CW, first ? Tensor() : state[0]);
  const int64_t groups = s.value_heads / s.key_heads;
  const auto keys_of = [&](const Tensor& x_BTC, int64_t begin) {
    return heads_of(x_BTC, begin, s.key_heads, s.key_dim);
  };
  const auto values_of = [&](const Tensor& x_BTC, int64_t begin) {
    return heads_of(x_BTC, begin, s.value_heads, s.value_dim);
  };
  const Tensor q_BTHK = ops::l2_norm(keys_of(mixed_BTC, 0), kUnitEps, groups);
  const Tensor k_BTHK = ops::l2_norm(keys_of(mixed_BTC, s.keys()), kUnitEps, groups);
  const Tensor v_BTHV = values_of(mixed_BTC, 2 * s.keys());

  const Tensor gates_BTC = project(x_BTD, w.gates_CD), low_BTr = project(x_BTD, w.low_rD);
  const auto low = [&](int64_t i) { return ops::contiguous(low_BTr.narrow(2, i * s.value_dim, s.value_dim)); };
  const Tensor g_BTHK = ops::channel_decay(keys_of(project(low(0), w.decay_Cr), 0), w.A_log_H, w.dt_bias_C, groups);
  const auto [o_BTHV, state_BHKV] =
      ops::erase_write({.q_BTHK = q_BTHK,
                        .k_BTHK = k_BTHK,
                        .e_BTHK = ops::times_sigmoid(k_BTHK, keys_of(gates_BTC, 0), groups),
                        .w_BTHV = ops::times_sigmoid(v_BTHV, values_of(gates_BTC, s.keys())),
                        .g_BTHK = g_BTHK,
                        .state_BHKV = first ? Tensor() : state[1],
                        .scale = 1 / std::sqrt(static_cast<double>(s.key_dim))});
  state = {tail_BnC, state_BHKV};

  const Tensor z_BTC = ops::linear(low(1).unsqueeze(0), w.out_gate_Cr, w.out_gate_bias_C).select(0, 0);
  const Tensor y_BTHV = ops::gated_rms_norm(o_BTHV, values_of(z_BTC, 0), w.norm_d, eps, ops::OutputGate::sigmoid);
  return project(y_BTHV.flatten(2), w.out_DC);
}

}  // namespace ingrain
