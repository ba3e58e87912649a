#include "model/mixers/gated_delta_net/sizes.h"

#include "base/error.h"

namespace ingrain {

void GatedDeltaNetSizes::validate(std::string_view where) const {
  fields([&](const char* key, auto member) {
    const bool kernel = member == &GatedDeltaNetSizes::kernel;
    const int64_t least = kernel ? 2 : 1, most = kernel ? 64 : 65536, value = this->*member;
    require(value >= least && value <= most, "{}: '{}' is {}; layers with a Gated DeltaNet need {} to {}", where, key,
            value, least, most);
  });
  require(value_heads % key_heads == 0,
          "{}: 'linear_num_value_heads' ({}) must be a multiple of 'linear_num_key_heads' ({})", where, value_heads,
          key_heads);
}

}  // namespace ingrain
