#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Of all layers with key-value binding.
struct KvBindingSizes {
  int64_t heads = 0, head_dim = 0;
  int64_t inner = 0;        // width of each head's MLP
  int64_t mini_batch = 16;  // tokens whose gradients are taken at the same weights
  double base_rate = 0.1;   // of the inner step; a token's is a share of it

  int64_t width() const { return heads * head_dim; }

  template <class Visit>
  static void fields(const Visit& visit) {
    visit("kvb_num_heads", &KvBindingSizes::heads);
    visit("kvb_head_dim", &KvBindingSizes::head_dim);
    visit("kvb_inner_size", &KvBindingSizes::inner);
    visit("kvb_mini_batch_size", &KvBindingSizes::mini_batch);
    visit("kvb_base_lr", &KvBindingSizes::base_rate);
  }
  void validate(std::string_view where) const;
};

}  // namespace ingrain
