#include "model/mixers/gated_delta_net/gated_delta_net.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace gated_delta_net_rows {

using G = GatedDeltaNetWeights;
template <Tensor G::* member>
constexpr auto of = mixer_tensor<G, member>;
constexpr auto here = has_mixer<gated_delta_net_mixer>;

const GatedDeltaNetSizes& sizes(const ModelConfig& c) { return c.mixers.of<GatedDeltaNetSizes>(); }
int64_t convolved(const ModelConfig& c) { return sizes(c).convolved(); }
int64_t values(const ModelConfig& c) { return sizes(c).values(); }
int64_t value_heads(const ModelConfig& c) { return sizes(c).value_heads; }
int64_t value_dim(const ModelConfig& c) { return sizes(c).value_dim; }
int64_t kernel(const ModelConfig& c) { return sizes(c).kernel; }

// First values are those of the published model: decays spread from slow to fast, the convolution's as PyTorch's.
void spread_decays(const Tensor& A_log_H, const at::Generator& generator) {
  A_log_H.uniform_(1e-3, 16, generator).log_();
}

constexpr Parameter kRows[] = {
    {"delta.in",
     of<&G::in_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"linear_attn.in_proj_qkv.weight", "", "", convolved}, {"linear_attn.in_proj_z.weight", "", "", values}}}},
    {"delta.gates",
     of<&G::gates_HD>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     hidden_size,
     {{{"linear_attn.in_proj_b.weight", "", "", value_heads}, {"linear_attn.in_proj_a.weight", "", "", value_heads}}}},
    {"delta.conv",
     of<&G::conv_CW>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     kernel,
     {{{"linear_attn.conv1d.weight", "", "", convolved}}},
     small_kernel},
    {"delta.A_log",
     of<&G::A_log_H>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"linear_attn.A_log", "", "", value_heads}}},
     spread_decays},
    {"delta.dt_bias",
     of<&G::dt_bias_H>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"linear_attn.dt_bias", "", "", value_heads}}}},
    {"delta.norm",
     of<&G::norm_d>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"linear_attn.norm.weight", "", "", value_dim}}}},
    {"delta.out",
     of<&G::out_DC>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     values,
     {{{"linear_attn.out_proj.weight", "", "", hidden_size}}}},
};

}  // namespace gated_delta_net_rows

std::span<const Parameter> gated_delta_net_parameters() { return gated_delta_net_rows::kRows; }

}  // namespace ingrain
