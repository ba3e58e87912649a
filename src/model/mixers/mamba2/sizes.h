#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Of all layers with a Mamba-2.
struct Mamba2Sizes {
  int64_t heads = 0, head_dim = 0;
  int64_t groups = 1;     // of heads, which share B and C
  int64_t state_dim = 0;  // numbers that a head keeps for each of its own
  int64_t kernel = 4;     // tokens that the convolution sees

  int64_t inner() const { return heads * head_dim; }
  int64_t convolved() const { return inner() + 2 * groups * state_dim; }  // x, B, C

  template <class Visit>
  static void fields(const Visit& visit) {
    visit("mamba_n_heads", &Mamba2Sizes::heads);
    visit("mamba_d_head", &Mamba2Sizes::head_dim);
    visit("mamba_n_groups", &Mamba2Sizes::groups);
    visit("mamba_d_state", &Mamba2Sizes::state_dim);
    visit("mamba_d_conv", &Mamba2Sizes::kernel);
  }
  void validate(std::string_view where) const;
};

}  // namespace ingrain
