#include "model/mixers/gated_delta_net2/gated_delta_net2.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace gated_delta_net2_rows {

using G = GatedDeltaNet2Weights;
using R = MixerRows<G, gated_delta_net2_mixer>;

constexpr Size keys = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::keys>;
constexpr Size values = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::values>;
constexpr Size convolved = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::convolved>;
constexpr Size key_heads = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::key_heads>;
constexpr Size value_dim = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::value_dim>;
constexpr Size kernel = size_in<GatedDeltaNet2Sizes, &GatedDeltaNet2Sizes::kernel>;

constexpr Parameter kRows[] = {
    R::quantizable<&G::in_CD>(
        "gdn2.in", hidden_size,
        {{"gdn2.q_proj.weight", keys}, {"gdn2.k_proj.weight", keys}, {"gdn2.v_proj.weight", values}}),
    R::quantizable<&G::gates_CD>("gdn2.gates", hidden_size,
                                 {{"gdn2.b_proj.weight", keys}, {"gdn2.w_proj.weight", values}}),
    R::matrix<&G::low_rD>("gdn2.low", hidden_size,
                          {{"gdn2.f_proj.0.weight", value_dim}, {"gdn2.g_proj.0.weight", value_dim}}),
    R::matrix<&G::decay_Cr>("gdn2.decay", value_dim, {{"gdn2.f_proj.1.weight", keys}}),
    R::matrix<&G::out_gate_Cr>("gdn2.out_gate", value_dim, {{"gdn2.g_proj.1.weight", values}}),
    R::bias<&G::out_gate_bias_C>("gdn2.out_gate_bias", {{"gdn2.g_proj.1.bias", values}}),
    R::matrix<&G::conv_CW>("gdn2.conv", kernel, {{"gdn2.conv1d.weight", convolved}}, small_kernel),
    R::norm<&G::A_log_H>("gdn2.A_log", {{"gdn2.A_log", key_heads}}, spread_decays),
    R::norm<&G::dt_bias_C>("gdn2.dt_bias", {{"gdn2.dt_bias", keys}}, spread_time_steps),
    R::norm<&G::norm_d>("gdn2.norm", {{"gdn2.o_norm.weight", value_dim}}),
    R::quantizable<&G::out_DC>("gdn2.out", values, {{"gdn2.o_proj.weight", hidden_size}}),
};

}  // namespace gated_delta_net2_rows

std::span<const Parameter> gated_delta_net2_parameters() { return gated_delta_net2_rows::kRows; }

}  // namespace ingrain
