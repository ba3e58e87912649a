#include "model/mixers/gated_delta_net2/gated_delta_net2.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace gated_delta_net2_rows {

using G = GatedDeltaNet2Weights;
template <Tensor G::* member>
constexpr auto of = mixer_tensor<G, member>;
constexpr auto here = has_mixer<gated_delta_net2_mixer>;

const GatedDeltaNet2Sizes& sizes(const ModelConfig& c) { return c.mixers.of<GatedDeltaNet2Sizes>(); }
int64_t keys(const ModelConfig& c) { return sizes(c).keys(); }
int64_t values(const ModelConfig& c) { return sizes(c).values(); }
int64_t convolved(const ModelConfig& c) { return sizes(c).convolved(); }
int64_t key_heads(const ModelConfig& c) { return sizes(c).key_heads; }
int64_t value_dim(const ModelConfig& c) { return sizes(c).value_dim; }
int64_t kernel(const ModelConfig& c) { return sizes(c).kernel; }

// First values are those of the published model: decays and steps of time spread from slow to fast, the convolution's
// as PyTorch's.
void spread_decays(const Tensor& A_log_H, const at::Generator& generator) { A_log_H.uniform_(1, 16, generator).log_(); }

constexpr Parameter kRows[] = {
    {"gdn2.in",
     of<&G::in_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"gdn2.q_proj.weight", "", "", keys},
       {"gdn2.k_proj.weight", "", "", keys},
       {"gdn2.v_proj.weight", "", "", values}}}},
    {"gdn2.gates",
     of<&G::gates_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"gdn2.b_proj.weight", "", "", keys}, {"gdn2.w_proj.weight", "", "", values}}}},
    {"gdn2.low",
     of<&G::low_rD>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     hidden_size,
     {{{"gdn2.f_proj.0.weight", "", "", value_dim}, {"gdn2.g_proj.0.weight", "", "", value_dim}}}},
    {"gdn2.decay",
     of<&G::decay_Cr>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     value_dim,
     {{{"gdn2.f_proj.1.weight", "", "", keys}}}},
    {"gdn2.out_gate",
     of<&G::out_gate_Cr>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     value_dim,
     {{{"gdn2.g_proj.1.weight", "", "", values}}}},
    {"gdn2.out_gate_bias",
     of<&G::out_gate_bias_C>,
     ParameterKind::bias,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"gdn2.g_proj.1.bias", "", "", values}}}},
    {"gdn2.conv",
     of<&G::conv_CW>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     kernel,
     {{{"gdn2.conv1d.weight", "", "", convolved}}},
     small_kernel},
    {"gdn2.A_log",
     of<&G::A_log_H>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"gdn2.A_log", "", "", key_heads}}},
     spread_decays},
    {"gdn2.dt_bias",
     of<&G::dt_bias_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"gdn2.dt_bias", "", "", keys}}},
     spread_time_steps},
    {"gdn2.norm",
     of<&G::norm_d>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"gdn2.o_norm.weight", "", "", value_dim}}}},
    {"gdn2.out",
     of<&G::out_DC>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     values,
     {{{"gdn2.o_proj.weight", "", "", hidden_size}}}},
};

}  // namespace gated_delta_net2_rows

std::span<const Parameter> gated_delta_net2_parameters() { return gated_delta_net2_rows::kRows; }

}  // namespace ingrain
