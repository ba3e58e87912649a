#include "model/mixers/gated_delta_net2/sizes.h"

#include "base/error.h"

namespace ingrain {

void GatedDeltaNet2Sizes::validate(std::string_view where) const {
  fields([&](const char* key, auto member) {
    const bool kernel = member == &GatedDeltaNet2Sizes::kernel;
    const int64_t least = kernel ? 2 : 1, most = kernel ? 64 : 65536, value = this->*member;
    require(value >= least && value <= most, "{}: '{}' is {}; layers with a Gated DeltaNet-2 need {} to {}", where, key,
            value, least, most);
  });
  require(value_heads % key_heads == 0,
          "{}: 'gdn2_num_value_heads' ({}) must be a multiple of 'gdn2_num_key_heads' ({})", where, value_heads,
          key_heads);
}

}  // namespace ingrain
