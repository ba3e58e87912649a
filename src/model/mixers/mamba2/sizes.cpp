#include "model/mixers/mamba2/sizes.h"

#include "base/error.h"

namespace ingrain {

void Mamba2Sizes::validate(std::string_view where) const {
  fields([&](const char* key, auto member) {
    const bool kernel = member == &Mamba2Sizes::kernel;
    const int64_t least = kernel ? 2 : 1, most = kernel ? 64 : 65536, value = this->*member;
    require(value >= least && value <= most, "{}: '{}' is {}; layers with a Mamba-2 need {} to {}", where, key, value,
            least, most);
  });
  require(heads % groups == 0, "{}: 'mamba_n_heads' ({}) must be a multiple of 'mamba_n_groups' ({})", where, heads,
          groups);
}

}  // namespace ingrain
