#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// What configurations call the sizes of a delta rule's layers, and what messages call the layers.
struct DeltaNames {
  const char *mixer, *key_heads, *value_heads, *key_dim, *value_dim, *kernel;
};

/// Of all layers with one of the delta rules.
template <const DeltaNames& names>
struct DeltaSizes {
  int64_t key_heads = 0, value_heads = 0;  // a key's head serves value_heads / key_heads heads of values
  int64_t key_dim = 0, value_dim = 0;      // numbers of one head
  int64_t kernel = 4;                      // tokens that the convolution sees

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
  int64_t convolved() const { return 2 * keys() + values(); }  // q, k, v

  template <class Visit>
  static void fields(const Visit& visit) {
    visit(names.key_heads, &DeltaSizes::key_heads);
    visit(names.value_heads, &DeltaSizes::value_heads);
    visit(names.key_dim, &DeltaSizes::key_dim);
    visit(names.value_dim, &DeltaSizes::value_dim);
    visit(names.kernel, &DeltaSizes::kernel);
  }
  void validate(std::string_view where) const;
};

inline constexpr DeltaNames kGatedDeltaNetNames{"Gated DeltaNet",         "linear_num_key_heads",
                                                "linear_num_value_heads", "linear_key_head_dim",
                                                "linear_value_head_dim",  "linear_conv_kernel_dim"};
using GatedDeltaNetSizes = DeltaSizes<kGatedDeltaNetNames>;

}  // namespace ingrain
