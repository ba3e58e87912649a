// The parameters of a layer's mixer, for all who need not know its kind.
#pragma once

#include "ops/dual.h"

#include <any>

namespace ingrain {

/// A struct of the mixer's kind (mixers/NAME/weights.h): `mixer.of<Mamba2Weights>()`, whose tensors are undefined where
/// the layer has none of the kind.
class MixerWeights {
 public:
  template <class Kind>
  const Kind& of() const {
    static const Kind none{};
    const Kind* const weights = std::any_cast<Kind>(&weights_);
    return weights ? *weights : none;
  }
  /// REQUIRES: it was never another's.
  template <class Kind>
  Kind& of() {
    TORCH_CHECK(!weights_.has_value() || weights_.type() == typeid(Kind), "a layer has one mixer");
    return weights_.has_value() ? *std::any_cast<Kind>(&weights_) : weights_.emplace<Kind>();
  }

 private:
  std::any weights_;
};

}  // namespace ingrain
