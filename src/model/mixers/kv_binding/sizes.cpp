#include "model/mixers/kv_binding/sizes.h"

#include "base/error.h"

namespace ingrain {

void KvBindingSizes::validate(std::string_view where) const {
  const auto size = [&](const char* key, int64_t value) {
    require(value >= 1 && value <= 65536, "{}: '{}' is {}; layers with key-value binding need 1 to 65536", where, key,
            value);
  };
  size("kvb_num_heads", heads);
  size("kvb_head_dim", head_dim);
  size("kvb_inner_size", inner);
  size("kvb_mini_batch_size", mini_batch);
  require(head_dim % 2 == 0, "{}: 'kvb_head_dim' is {}; RoPE needs an even number", where, head_dim);
  require(base_rate > 0 && base_rate <= 1e3, "{}: 'kvb_base_lr' is {}; it must be positive, at most 1000", where,
          base_rate);
}

}  // namespace ingrain
