#include "eval/tap_record.h"

namespace ingrain::eval {

Tap TapRecord::tap() {
  return [this](const std::string& what, int64_t block, const Tensor& x_PBTD) {
    pieces_[{what, block}].push_back(ops::primal(x_PBTD).detach().clone());
  };
}

Tensor TapRecord::all(const std::string& what, int64_t block) const {
  const auto at = pieces_.find({what, block});
  return at == pieces_.end() ? Tensor() : at::cat(at->second, 1);
}

}  // namespace ingrain::eval
