#include "ops/linear/products.h"

#include "ops/backend.h"

namespace ingrain::ops {

const ProductKernels& products_for(const Tensor& a) { return select(a, product_reference, product_cpu, product_cuda); }

Tensor product_nt(const Tensor& a_MK, const Tensor& b_NK) { return products_for(a_MK).nt(a_MK, b_NK); }
Tensor product_nn(const Tensor& a_MK, const Tensor& b_KN) { return products_for(a_MK).nn(a_MK, b_KN); }
Tensor product_tn(const Tensor& a_KM, const Tensor& b_KN) { return products_for(a_KM).tn(a_KM, b_KN); }
void add_product_tn(Tensor& sum_MN, const Tensor& a_KM, const Tensor& b_KN) {
  products_for(a_KM).add_tn(sum_MN, a_KM, b_KN);
}

}  // namespace ingrain::ops
