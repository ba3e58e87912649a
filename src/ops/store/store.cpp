#include "ops/store/store.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {

void copy_to(const Tensor& x, const Tensor& place) {
  TORCH_CHECK(x.sizes() == place.sizes() && alike(x, place), "copy_to: ", x.scalar_type(), " ", x.sizes(), " on ",
              x.device(), " does not fit ", place.scalar_type(), " ", place.sizes(), " on ", place.device());
  captured([=] { place.copy_(x); });
}

void store_in_ring(const Tensor& x_BD, const Tensor& ring_BCD, const Tensor& position_B) {
  TORCH_CHECK(x_BD.dim() == 2 && ring_BCD.dim() == 3 && x_BD.size(0) == ring_BCD.size(0) &&
                  x_BD.size(1) == ring_BCD.size(2) && ring_BCD.size(1) > 0 && alike(x_BD, ring_BCD),
              "store_in_ring: rows ", x_BD.scalar_type(), " ", x_BD.sizes(), " do not fit a ring ",
              ring_BCD.scalar_type(), " ", ring_BCD.sizes());
  TORCH_CHECK(position_B.scalar_type() == at::kLong && position_B.dim() == 1 &&
                  (position_B.size(0) == 1 || position_B.size(0) == x_BD.size(0)) &&
                  position_B.device() == ring_BCD.device(),
              "store_in_ring: positions ", position_B.scalar_type(), " ", position_B.sizes(), " do not fit rows ",
              x_BD.sizes());
  captured([=] {
    const int64_t B = x_BD.size(0), C = ring_BCD.size(1), D = x_BD.size(1);
    const Tensor slot_B1D = position_B.remainder(C).view({-1, 1, 1}).expand({B, 1, D});
    const Tensor idle_B11 = position_B.lt(0).view({-1, 1, 1});
    ring_BCD.scatter_(1, slot_B1D, at::where(idle_B11, ring_BCD.gather(1, slot_B1D), x_BD.unsqueeze(1)));
  });
}

void advance(const Tensor& position, int64_t count) {
  TORCH_CHECK(position.scalar_type() == at::kLong, "advance: positions are int64, not ", position.scalar_type());
  captured([=] { position.add_(count); });
}

}  // namespace ingrain::ops
