#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Of all layers with a Gated DeltaNet.
struct GatedDeltaNetSizes {
  int64_t key_heads = 0, value_heads = 0;  // a key's head serves value_heads / key_heads heads of values
  int64_t key_dim = 0, value_dim = 0;      // numbers of one head
  int64_t kernel = 4;                      // tokens that the convolution sees

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
  int64_t convolved() const { return 2 * keys() + values(); }  // q, k, v

  template <class Visit>
  static void fields(const Visit& visit) {
    visit("linear_num_key_heads", &GatedDeltaNetSizes::key_heads);
    visit("linear_num_value_heads", &GatedDeltaNetSizes::value_heads);
    visit("linear_key_head_dim", &GatedDeltaNetSizes::key_dim);
    visit("linear_value_head_dim", &GatedDeltaNetSizes::value_dim);
    visit("linear_conv_kernel_dim", &GatedDeltaNetSizes::kernel);
  }
  void validate(std::string_view where) const;
};

}  // namespace ingrain
