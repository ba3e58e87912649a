#pragma once

#include "model/mixers/gated_delta_net/sizes.h"

namespace ingrain {

inline constexpr DeltaNames kGatedDeltaNet2Names{"Gated DeltaNet-2",  "gdn2_num_key_heads",  "gdn2_num_value_heads",
                                                 "gdn2_key_head_dim", "gdn2_value_head_dim", "gdn2_conv_kernel_dim"};
/// value_dim is also the rank of the decay's and the output's gates.
using GatedDeltaNet2Sizes = DeltaSizes<kGatedDeltaNet2Names>;

}  // namespace ingrain
