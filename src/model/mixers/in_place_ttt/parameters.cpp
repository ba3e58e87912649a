#include "model/mixers/in_place_ttt/in_place_ttt.h"
#include "model/mixers/rows.h"
#include "ops/fast_down/fast_down.h"

namespace ingrain {
namespace in_place_ttt_rows {

using I = InPlaceTttWeights;
template <Tensor I::* member>
constexpr auto of = mixer_tensor<I, member>;
constexpr auto here = has_mixer<in_place_ttt_mixer>;

int64_t inner(const ModelConfig& c) { return c.mixers.of<InPlaceTttSizes>().inner; }
int64_t kernel(const ModelConfig&) { return ops::kFastDownKernel; }

// First values are those of the published code: a model begins as if nothing were learnt.
void diagonal(const Tensor& proj_DD, const at::Generator& generator) {
  proj_DD.copy_(at::zeros_like(proj_DD).fill_diagonal_(1) * proj_DD.normal_(0, 0.02, generator));
}

constexpr Parameter kRows[] = {
    {"in_place.w13",
     of<&I::w13_FD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"in_place.gate_proj.weight", "", "", inner}, {"in_place.up_proj.weight", "", "", inner}}}},
    {"in_place.w2",
     of<&I::w2_DF>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     inner,
     {{{"in_place.down_proj.weight", "", "", hidden_size}}}},
    {"in_place.proj",
     of<&I::proj_DD>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     hidden_size,
     {{{"in_place.ttt_proj.weight", "", "", hidden_size}}},
     diagonal},
    {"in_place.conv",
     of<&I::conv_DW>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     kernel,
     {{{"in_place.ttt_conv.weight", "", "", hidden_size}}},
     zeros},
};

}  // namespace in_place_ttt_rows

std::span<const Parameter> in_place_ttt_parameters() { return in_place_ttt_rows::kRows; }

}  // namespace ingrain
