#include "ops/checks.h"
#include "ops/graph/captured.h"
#include "ops/qkv_rope/qkv_rope.h"

namespace ingrain::ops {

RopeTable rotations(const Tensor& position_T, const Tensor& frequency_R, double amplitude, at::ScalarType type,
                    bool interleaved, int64_t pairs) {
  TORCH_CHECK(
      position_T.scalar_type() == at::kLong && position_T.dim() == 1 && frequency_R.scalar_type() == at::kDouble &&
          frequency_R.dim() == 1 && position_T.device() == frequency_R.device(),
      "rotations: positions ", position_T.scalar_type(), " ", position_T.sizes(), " on ", position_T.device(),
      " do not fit frequencies ", frequency_R.scalar_type(), " ", frequency_R.sizes(), " on ", frequency_R.device());
  const Tensor angles_TR = captured([=] { return position_T.to(at::kDouble).unsqueeze(1) * frequency_R; });
  const bool all = pairs < 0 || pairs == frequency_R.size(0);
  const auto finish = [amplitude, type, all, pairs](const Tensor& x_TR) {
    if (amplitude == 1) return x_TR.to(type);
    if (all) return (x_TR * amplitude).to(type);
    const Tensor out_TR = x_TR.clone();
    out_TR.narrow(1, 0, pairs).mul_(amplitude);
    return out_TR.to(type);
  };
  return {captured([=] { return finish(angles_TR.cos()); }), captured([=] { return finish(angles_TR.sin()); }),
          interleaved};
}

RopeTable no_rotations(const Tensor& position_T, int64_t pairs, at::ScalarType type, bool interleaved) {
  const cpu::Capture::Scope aside(nullptr);  // constants: captured work need not make them again
  const auto numbers = position_T.options().dtype(type);
  return {at::ones({position_T.size(0), pairs}, numbers), at::zeros({position_T.size(0), pairs}, numbers), interleaved};
}

Tensor query_factors(const Tensor& position_T, double growth, double length, at::ScalarType type) {
  return captured([=] { return ((position_T.to(at::kDouble) / length).floor().log1p() * growth + 1).to(type); });
}

}  // namespace ingrain::ops
