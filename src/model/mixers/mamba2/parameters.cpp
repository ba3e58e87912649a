#include "model/mixers/mamba2/mamba2.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace mamba2_rows {

using M = Mamba2Weights;
template <Tensor M::* member>
constexpr auto of = mixer_tensor<M, member>;
constexpr auto here = has_mixer<mamba2_mixer>;

const Mamba2Sizes& sizes(const ModelConfig& c) { return c.mixers.of<Mamba2Sizes>(); }
int64_t projected(const ModelConfig& c) { return sizes(c).inner() + sizes(c).convolved() + sizes(c).heads; }
int64_t convolved(const ModelConfig& c) { return sizes(c).convolved(); }
int64_t inner(const ModelConfig& c) { return sizes(c).inner(); }
int64_t heads(const ModelConfig& c) { return sizes(c).heads; }
int64_t kernel(const ModelConfig& c) { return sizes(c).kernel; }

// First values are those of the published model: decays and steps of time spread from slow to fast, the convolution's
// as PyTorch's.
void spread_decays(const Tensor& A_log_H, const at::Generator& generator) { A_log_H.uniform_(1, 16, generator).log_(); }

constexpr Parameter kRows[] = {
    {"mamba.in",
     of<&M::in_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"mamba.in_proj.weight", "", "", projected}}}},
    {"mamba.conv",
     of<&M::conv_CW>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     kernel,
     {{{"mamba.conv1d.weight", "", "", convolved}}},
     small_kernel},
    {"mamba.conv_bias",
     of<&M::conv_bias_C>,
     ParameterKind::bias,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"mamba.conv1d.bias", "", "", convolved}}}},
    {"mamba.A_log",
     of<&M::A_log_H>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"mamba.A_log", "", "", heads}}},
     spread_decays},
    {"mamba.D", of<&M::D_H>, ParameterKind::norm, Step::mixer, false, here, nullptr, {{{"mamba.D", "", "", heads}}}},
    {"mamba.dt_bias",
     of<&M::dt_bias_H>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"mamba.dt_bias", "", "", heads}}},
     spread_time_steps},
    {"mamba.norm",
     of<&M::norm_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"mamba.norm.weight", "", "", inner}}}},
    {"mamba.out",
     of<&M::out_DC>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     inner,
     {{{"mamba.out_proj.weight", "", "", hidden_size}}}},
};

}  // namespace mamba2_rows

std::span<const Parameter> mamba2_parameters() { return mamba2_rows::kRows; }

}  // namespace ingrain
