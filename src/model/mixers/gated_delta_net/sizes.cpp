#include "model/mixers/gated_delta_net/sizes.h"

#include "base/error.h"
#include "model/mixers/gated_delta_net2/sizes.h"

namespace ingrain {

template <const DeltaNames& names>
void DeltaSizes<names>::validate(std::string_view where) const {
  fields([&](const char* key, auto member) {
    const bool of_kernel = member == &DeltaSizes::kernel;
    const int64_t least = of_kernel ? 2 : 1, most = of_kernel ? 64 : 65536, value = this->*member;
    require(value >= least && value <= most, "{}: '{}' is {}; layers with a {} need {} to {}", where, key, value,
            names.mixer, least, most);
  });
  require(value_heads % key_heads == 0, "{}: '{}' ({}) must be a multiple of '{}' ({})", where, names.value_heads,
          value_heads, names.key_heads, key_heads);
}

template struct DeltaSizes<kGatedDeltaNetNames>;
template struct DeltaSizes<kGatedDeltaNet2Names>;

}  // namespace ingrain
