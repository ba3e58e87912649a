#include "model/mixers/gated_delta_net/gated_delta_net.h"

#include "model/mixers/gated_delta_net/state.h"
#include "model/mixers/recurrent.h"
#include "ops/gated_delta/gated_delta.h"
#include "ops/gated_delta/parts.h"
#include "ops/short_conv/short_conv.h"

#include <cmath>

namespace ingrain {
namespace {

Tensor mix_by_delta(const MixerPass& pass, const Tensor& x_PBTD) {
  TORCH_CHECK(x_PBTD.size(0) == 1, "a Gated DeltaNet has no tangents");
  const ModelConfig& c = pass.config;
  return pass.carry.recur(pass.layer, [&](RecurrentState& state) {
    return gated_delta_net(c.mixers.of<GatedDeltaNetSizes>(), pass.w.mixer.of<GatedDeltaNetWeights>(), c.rms_eps,
                           ops::primal(x_PBTD), state)
        .unsqueeze(0);
  });
}

}  // namespace

const LayerMixer gated_delta_net_mixer{.mix = mix_by_delta,
                                       .state = delta_state<GatedDeltaNetSizes>,
                                       .parameters = gated_delta_net_parameters,
                                       .state_work = delta_work<GatedDeltaNetSizes>};

Tensor gated_delta_net(const GatedDeltaNetSizes& s, const GatedDeltaNetWeights& w, double eps, const Tensor& x_BTD,
                       RecurrentState& state) {
  const Tensor in_BTC = project(x_BTD, w.in_CD), gates_BTH = project(x_BTD, w.gates_HD);
  const bool first = state.empty();
  const auto [mixed_BTC, tail_BnC] =
      ops::short_conv(in_BTC.narrow(2, 0, s.convolved()), w.conv_CW, first ? Tensor() : state[0]);

  const int64_t groups = s.value_heads / s.key_heads;
  const Tensor q_BTHK = ops::l2_norm(heads_of(mixed_BTC, 0, s.key_heads, s.key_dim), kUnitEps, groups);
  const Tensor k_BTHK = ops::l2_norm(heads_of(mixed_BTC, s.keys(), s.key_heads, s.key_dim), kUnitEps, groups);
  const Tensor v_BTHV = heads_of(mixed_BTC, 2 * s.keys(), s.value_heads, s.value_dim);
  const auto [g_BTH, beta_BTH] = ops::delta_gates(gates_BTH.narrow(2, s.value_heads, s.value_heads),
                                                  gates_BTH.narrow(2, 0, s.value_heads), w.A_log_H, w.dt_bias_H);
  const double scale = 1 / std::sqrt(static_cast<double>(s.key_dim));
  const auto [o_BTHV, state_BHKV] =
      ops::gated_delta(q_BTHK, k_BTHK, v_BTHV, g_BTH, beta_BTH, first ? Tensor() : state[1], scale);
  state = {tail_BnC, state_BHKV};

  const Tensor z_BTHV = heads_of(in_BTC, s.convolved(), s.value_heads, s.value_dim);
  return project(ops::gated_rms_norm(o_BTHV, z_BTHV, w.norm_d, eps).flatten(2), w.out_DC);
}

}  // namespace ingrain
