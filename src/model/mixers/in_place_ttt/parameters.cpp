#include "model/mixers/in_place_ttt/in_place_ttt.h"
#include "model/mixers/rows.h"
#include "ops/fast_down/fast_down.h"

namespace ingrain {
namespace in_place_ttt_rows {

using I = InPlaceTttWeights;
using R = MixerRows<I, in_place_ttt_mixer>;

constexpr Size inner = size_in<InPlaceTttSizes, &InPlaceTttSizes::inner>;
int64_t kernel(const ModelConfig&) { return ops::kFastDownKernel; }

// First values are those of the published code: a model begins as if nothing were learnt.
void diagonal(const Tensor& proj_DD, const at::Generator& generator) {
  proj_DD.copy_(at::zeros_like(proj_DD).fill_diagonal_(1) * proj_DD.normal_(0, 0.02, generator));
}

constexpr Parameter kRows[] = {
    R::quantizable<&I::w13_FD>("in_place.w13", hidden_size,
                               {{"in_place.gate_proj.weight", inner}, {"in_place.up_proj.weight", inner}}),
    R::matrix<&I::w2_DF>("in_place.w2", inner, {{"in_place.down_proj.weight", hidden_size}}),
    R::matrix<&I::proj_DD>("in_place.proj", hidden_size, {{"in_place.ttt_proj.weight", hidden_size}}, diagonal),
    R::matrix<&I::conv_DW>("in_place.conv", kernel, {{"in_place.ttt_conv.weight", hidden_size}}, zeros),
};

}  // namespace in_place_ttt_rows

std::span<const Parameter> in_place_ttt_parameters() { return in_place_ttt_rows::kRows; }

}  // namespace ingrain
