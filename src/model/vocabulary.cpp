#include "model/vocabulary.h"

#include "base/error.h"

#include <algorithm>

namespace ingrain {
namespace {

struct Range {
  int64_t least, most;
};

/// On the CPU without libtorch: a token that is written asks, too.
Range range_of(const Tensor& ids) {
  if (!ids.is_cpu()) {
    const auto [least, most] = ids.aminmax();
    return {least.item<int64_t>(), most.item<int64_t>()};
  }
  const Tensor row = ids.contiguous();
  const int64_t* const first = row.const_data_ptr<int64_t>();
  const auto [least, most] = std::minmax_element(first, first + row.numel());
  return {*least, *most};
}

}  // namespace

void require_in_vocabulary(const Tensor& ids, int64_t vocab_size, std::string_view what) {
  if (ids.numel() == 0) return;
  const auto [least, most] = range_of(ids);
  require(least >= 0 && most < vocab_size, "{} hold id {}, outside 0 .. {}; were they made with another tokenizer?",
          what, least < 0 ? least : most, vocab_size - 1);
}

}  // namespace ingrain
