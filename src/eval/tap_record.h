// Collects a model's intermediate values over a whole run, so that they can be asked for by position.
#pragma once

#include "model/block.h"

#include <map>

namespace ingrain::eval {

/// Pieces of a named value arrive in order of position and are joined along it.
class TapRecord {
 public:
  /// The tap to pass to the model; this object must outlive it.
  Tap tap();
  /// All positions of a value, [B, T, D]; undefined if it never came.
  Tensor all(const std::string& what, int64_t block) const;

 private:
  std::map<std::pair<std::string, int64_t>, std::vector<Tensor>> pieces_;
};

}  // namespace ingrain::eval
