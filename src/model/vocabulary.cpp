#include "model/vocabulary.h"

#include "base/error.h"

namespace ingrain {

void require_in_vocabulary(const Tensor& ids, int64_t vocab_size, std::string_view what) {
  if (ids.numel() == 0) return;
  const auto [least, greatest] = ids.aminmax();
  const int64_t lowest = least.item<int64_t>(), suspect = lowest < 0 ? lowest : greatest.item<int64_t>();
  require(suspect >= 0 && suspect < vocab_size, "{} hold id {}, outside 0 .. {}; were they made with another tokenizer?", what, suspect,
          vocab_size - 1);
}

}  // namespace ingrain
