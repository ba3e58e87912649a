#include "model/mixers/in_place_ttt/in_place_ttt.h"

#include "model/mixers/recurrent.h"
#include "ops/fast_down/fast_down.h"
#include "ops/swiglu/swiglu.h"

namespace ingrain {
namespace {

Tensor mix_in_place(const MixerPass& pass, const Tensor& x_PBTD) {
  TORCH_CHECK(x_PBTD.size(0) == 1, "In-Place TTT has no tangents");
  return pass.carry.recur(pass.layer, [&](RecurrentState& state) {
    return in_place_ttt(pass.config.mixers.of<InPlaceTttSizes>(), pass.w.mixer.of<InPlaceTttWeights>(),
                        ops::primal(x_PBTD), state)
        .unsqueeze(0);
  });
}

std::vector<StatePart> in_place_state(const ModelConfig& c, int64_t) {
  const int64_t F = c.mixers.of<InPlaceTttSizes>().inner, D = c.hidden_size, W = ops::kFastDownKernel;
  return {{"learnt", {D, F}, true},
          {"gradient", {D, F}, true},
          {"targets", {W - 1, D}, true},
          {"hidden", {W / 2, F}, true},
          {"place", {1}, true}};
}

/// h Wᵀ and v hᵀ.
double in_place_work(const ModelConfig& c) {
  return 2.0 * static_cast<double>(c.hidden_size * c.mixers.of<InPlaceTttSizes>().inner);
}

}  // namespace

const LayerMixer in_place_ttt_mixer{
    .mix = mix_in_place, .state = in_place_state, .parameters = in_place_ttt_parameters, .state_work = in_place_work};

Tensor in_place_ttt(const InPlaceTttSizes& s, const InPlaceTttWeights& w, const Tensor& x_BTD, RecurrentState& state) {
  const Tensor h_PBTF = ops::swiglu(ops::linear(x_BTD.unsqueeze(0), w.w13_FD), ops::Gate::silu);
  auto [y_BTD, after] = ops::fast_down({.h_BTF = ops::primal(h_PBTF),
                                        .t_BTD = x_BTD,
                                        .w_DF = w.w2_DF,
                                        .proj_DD = w.proj_DD,
                                        .conv_DW = w.conv_DW,
                                        .rate = s.rate,
                                        .chunk = s.chunk,
                                        .state = state});
  state = std::move(after);
  return y_BTD;
}

}  // namespace ingrain
