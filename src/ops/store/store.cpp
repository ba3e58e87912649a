#include "ops/store/store.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {

void copy_to(const Tensor& x, const Tensor& place) {
  TORCH_CHECK(x.sizes() == place.sizes() && alike(x, place), "copy_to: ", x.scalar_type(), " ", x.sizes(), " on ",
              x.device(), " does not fit ", place.scalar_type(), " ", place.sizes(), " on ", place.device());
  captured([=] { place.copy_(x); });
}

void store_rows(const Tensor& x_BD, const Tensor& table_ND, const Tensor& row_B) {
  TORCH_CHECK(x_BD.dim() == 2 && table_ND.dim() == 2 && x_BD.size(1) == table_ND.size(1) && alike(x_BD, table_ND),
              "store_rows: rows ", x_BD.scalar_type(), " ", x_BD.sizes(), " do not fit a table ",
              table_ND.scalar_type(), " ", table_ND.sizes());
  TORCH_CHECK(row_B.scalar_type() == at::kLong && row_B.sizes() == x_BD.sizes().slice(0, 1) &&
                  row_B.device() == table_ND.device(),
              "store_rows: places ", row_B.scalar_type(), " ", row_B.sizes(), " do not fit rows ", x_BD.sizes());
  captured([=] { table_ND.index_copy_(0, row_B, x_BD); });
}

}  // namespace ingrain::ops
