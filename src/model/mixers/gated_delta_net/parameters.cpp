#include "model/mixers/gated_delta_net/gated_delta_net.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace gated_delta_net_rows {

using G = GatedDeltaNetWeights;
using R = MixerRows<G, gated_delta_net_mixer>;

constexpr Size convolved = size_in<GatedDeltaNetSizes, &GatedDeltaNetSizes::convolved>;
constexpr Size values = size_in<GatedDeltaNetSizes, &GatedDeltaNetSizes::values>;
constexpr Size value_heads = size_in<GatedDeltaNetSizes, &GatedDeltaNetSizes::value_heads>;
constexpr Size value_dim = size_in<GatedDeltaNetSizes, &GatedDeltaNetSizes::value_dim>;
constexpr Size kernel = size_in<GatedDeltaNetSizes, &GatedDeltaNetSizes::kernel>;

// First values are those of the published model: decays from slower ones on than Mamba's.
void spread_more_decays(const Tensor& A_log_H, const at::Generator& generator) {
  A_log_H.uniform_(1e-3, 16, generator).log_();
}

constexpr Parameter kRows[] = {
    R::quantizable<&G::in_CD>(
        "delta.in", hidden_size,
        {{"linear_attn.in_proj_qkv.weight", convolved}, {"linear_attn.in_proj_z.weight", values}}),
    R::matrix<&G::gates_HD>(
        "delta.gates", hidden_size,
        {{"linear_attn.in_proj_b.weight", value_heads}, {"linear_attn.in_proj_a.weight", value_heads}}),
    R::matrix<&G::conv_CW>("delta.conv", kernel, {{"linear_attn.conv1d.weight", convolved}}, small_kernel),
    R::norm<&G::A_log_H>("delta.A_log", {{"linear_attn.A_log", value_heads}}, spread_more_decays),
    R::norm<&G::dt_bias_H>("delta.dt_bias", {{"linear_attn.dt_bias", value_heads}}),
    R::norm<&G::norm_d>("delta.norm", {{"linear_attn.norm.weight", value_dim}}),
    R::quantizable<&G::out_DC>("delta.out", values, {{"linear_attn.out_proj.weight", hidden_size}}),
};

}  // namespace gated_delta_net_rows

std::span<const Parameter> gated_delta_net_parameters() { return gated_delta_net_rows::kRows; }

}  // namespace ingrain
