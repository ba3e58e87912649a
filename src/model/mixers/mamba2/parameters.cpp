#include "model/mixers/mamba2/mamba2.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace mamba2_rows {

using M = Mamba2Weights;
using R = MixerRows<M, mamba2_mixer>;

const Mamba2Sizes& sizes(const ModelConfig& c) { return c.mixers.of<Mamba2Sizes>(); }
int64_t projected(const ModelConfig& c) { return sizes(c).inner() + sizes(c).convolved() + sizes(c).heads; }
constexpr Size convolved = size_in<Mamba2Sizes, &Mamba2Sizes::convolved>;
constexpr Size inner = size_in<Mamba2Sizes, &Mamba2Sizes::inner>;
constexpr Size heads = size_in<Mamba2Sizes, &Mamba2Sizes::heads>;
constexpr Size kernel = size_in<Mamba2Sizes, &Mamba2Sizes::kernel>;

constexpr Parameter kRows[] = {
    R::quantizable<&M::in_CD>("mamba.in", hidden_size, {{"mamba.in_proj.weight", projected}}),
    R::matrix<&M::conv_CW>("mamba.conv", kernel, {{"mamba.conv1d.weight", convolved}}, small_kernel),
    R::bias<&M::conv_bias_C>("mamba.conv_bias", {{"mamba.conv1d.bias", convolved}}),
    R::norm<&M::A_log_H>("mamba.A_log", {{"mamba.A_log", heads}}, spread_decays),
    R::norm<&M::D_H>("mamba.D", {{"mamba.D", heads}}),
    R::norm<&M::dt_bias_H>("mamba.dt_bias", {{"mamba.dt_bias", heads}}, spread_time_steps),
    R::norm<&M::norm_C>("mamba.norm", {{"mamba.norm.weight", inner}}),
    R::quantizable<&M::out_DC>("mamba.out", inner, {{"mamba.out_proj.weight", hidden_size}}),
};

}  // namespace mamba2_rows

std::span<const Parameter> mamba2_parameters() { return mamba2_rows::kRows; }

}  // namespace ingrain
