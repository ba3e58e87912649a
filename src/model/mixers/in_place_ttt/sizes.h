#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Of all layers with an MLP that learns in place.
struct InPlaceTttSizes {
  int64_t inner = 0;     // the MLP's width
  int64_t chunk = 1024;  // tokens that are learnt from at once
  double rate = 0.3;

  template <class Visit>
  static void fields(const Visit& visit) {
    visit("in_place_ttt_size", &InPlaceTttSizes::inner);
    visit("in_place_ttt_chunk", &InPlaceTttSizes::chunk);
    visit("in_place_ttt_lr", &InPlaceTttSizes::rate);
  }
  void validate(std::string_view where) const;
};

}  // namespace ingrain
