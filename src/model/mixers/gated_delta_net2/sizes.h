#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Of all layers with a Gated DeltaNet-2.
struct GatedDeltaNet2Sizes {
  int64_t key_heads = 0, value_heads = 0;  // a key's head serves value_heads / key_heads heads of values
  int64_t key_dim = 0, value_dim = 0;  // numbers of one head; value_dim is the rank of the decay's and output's gates
  int64_t kernel = 4;                  // tokens that the convolution sees

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
  int64_t convolved() const { return 2 * keys() + values(); }  // q, k, v

  template <class Visit>
  static void fields(const Visit& visit) {
    visit("gdn2_num_key_heads", &GatedDeltaNet2Sizes::key_heads);
    visit("gdn2_num_value_heads", &GatedDeltaNet2Sizes::value_heads);
    visit("gdn2_key_head_dim", &GatedDeltaNet2Sizes::key_dim);
    visit("gdn2_value_head_dim", &GatedDeltaNet2Sizes::value_dim);
    visit("gdn2_conv_kernel_dim", &GatedDeltaNet2Sizes::kernel);
  }
  void validate(std::string_view where) const;
};

}  // namespace ingrain
