#include "model/mixers/mamba2/mamba2.h"

#include "model/mixers/recurrent.h"
#include "ops/short_conv/short_conv.h"
#include "ops/ssd/parts.h"
#include "ops/ssd/ssd.h"

namespace ingrain {
namespace {

Tensor mix_by_ssd(const MixerPass& pass, const Tensor& x_PBTD) {
  TORCH_CHECK(x_PBTD.size(0) == 1, "a Mamba-2 has no tangents");
  const ModelConfig& c = pass.config;
  return pass.carry.recur(pass.layer, [&](RecurrentState& state) {
    return mamba2(c.mixers.of<Mamba2Sizes>(), pass.w.mixer.of<Mamba2Weights>(), c.rms_eps, ops::primal(x_PBTD), state)
        .unsqueeze(0);
  });
}

std::vector<StatePart> ssd_state(const ModelConfig& c, int64_t) {
  const Mamba2Sizes& s = c.mixers.of<Mamba2Sizes>();
  return {{"conv", {s.kernel - 1, s.convolved()}, false}, {"ssm", {s.heads, s.state_dim, s.head_dim}, true}};
}

/// b xᵀ and Sᵀ c.
double ssd_work(const ModelConfig& c) {
  const Mamba2Sizes& s = c.mixers.of<Mamba2Sizes>();
  return 2.0 * static_cast<double>(s.inner() * s.state_dim);
}

}  // namespace

const LayerMixer mamba2_mixer{
    .mix = mix_by_ssd, .state = ssd_state, .parameters = mamba2_parameters, .state_work = ssd_work};

Tensor mamba2(const Mamba2Sizes& s, const Mamba2Weights& w, double eps, const Tensor& x_BTD, RecurrentState& state) {
  const Tensor in_BTC = project(x_BTD, w.in_CD);
  const bool first = state.empty();
  const auto [mixed_BTC, tail_BnC] = ops::short_conv(in_BTC.narrow(2, s.inner(), s.convolved()), w.conv_CW,
                                                     first ? Tensor() : state[0], w.conv_bias_C);
  const auto [y_BTHV, state_BHKV] =
      ops::ssd({.x_BTHV = heads_of(mixed_BTC, 0, s.heads, s.head_dim),
                .dt_BTH = ops::time_steps(in_BTC.narrow(2, s.inner() + s.convolved(), s.heads), w.dt_bias_H),
                .A_H = ops::negative_exp(w.A_log_H),
                .b_BTGK = heads_of(mixed_BTC, s.inner(), s.groups, s.state_dim),
                .c_BTGK = heads_of(mixed_BTC, s.inner() + s.groups * s.state_dim, s.groups, s.state_dim),
                .D_H = w.D_H,
                .state_BHKV = first ? Tensor() : state[1]});
  state = {tail_BnC, state_BHKV};
  const Tensor z_BTC = in_BTC.narrow(2, 0, s.inner());
  return project(ops::rms_norm_of_gated(y_BTHV.flatten(2), z_BTC, w.norm_C, eps, s.groups), w.out_DC);
}

}  // namespace ingrain
