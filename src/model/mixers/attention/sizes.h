#pragma once

#include <string_view>

namespace ingrain {

/// Attention's sizes are the model's own: num_heads, num_kv_heads, head_dim.
struct AttentionSizes {
  template <class Visit>
  static void fields(const Visit&) {}
  void validate(std::string_view) const {}
};

}  // namespace ingrain
