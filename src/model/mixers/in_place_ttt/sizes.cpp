#include "model/mixers/in_place_ttt/sizes.h"

#include "base/error.h"

namespace ingrain {

void InPlaceTttSizes::validate(std::string_view where) const {
  const auto size = [&](const char* key, int64_t value) {
    require(value >= 1 && value <= int64_t{1} << 24,
            "{}: '{}' is {}; layers with an MLP that learns in place need 1 to 16777216", where, key, value);
  };
  size("in_place_ttt_size", inner);
  size("in_place_ttt_chunk", chunk);
  require(rate >= 0 && rate <= 1e3, "{}: 'in_place_ttt_lr' is {}; it must be between 0 and 1000", where, rate);
}

}  // namespace ingrain
