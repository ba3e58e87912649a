#include "ops/kv_binding/parts.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

#include <cmath>

namespace ingrain::ops {

Tensor parameter_heads(const Tensor& w_Cn, int64_t heads, bool transposed) {
  return captured([=] {
    const Tensor out = widened(w_Cn).unflatten(0, {heads, -1});
    return transposed ? out.transpose(1, 2) : out;
  });
}

Tensor norm_heads(const Tensor& w_C, const Tensor& b_C, int64_t heads) {
  return captured([=] { return at::stack({w_C.unflatten(0, {heads, -1}), b_C.unflatten(0, {heads, -1})}, 1); });
}

Tensor rotate_by_place(const Tensor& x_BTHd, const Tensor& first_B1, int64_t places, double theta) {
  TORCH_CHECK(x_BTHd.dim() == 4 && x_BTHd.size(3) % 2 == 0 && places > 0, "rotate_by_place: rows ", x_BTHd.sizes());
  return captured([=] {
    const Tensor wide = widened(x_BTHd).unflatten(3, {-1, 2});
    const auto numbers = at::TensorOptions(at::kDouble).device(x_BTHd.device());
    const int64_t T = x_BTHd.size(1), d = x_BTHd.size(3);
    const Tensor place_1T = at::arange(T, numbers).unsqueeze(0);
    const Tensor place_BT = (first_B1.defined() ? place_1T + first_B1.to(at::kDouble) : place_1T).remainder(places);
    const Tensor frequency_r = (at::arange(0, d, 2, numbers) * (-std::log(theta) / static_cast<double>(d))).exp();
    const Tensor angle_BT1r = (place_BT.unsqueeze(-1) * frequency_r).unsqueeze(2);
    const Tensor cos = angle_BT1r.cos().to(wide.scalar_type()), sin = angle_BT1r.sin().to(wide.scalar_type());
    const Tensor a = wide.select(4, 0), b = wide.select(4, 1);
    return at::stack({a * cos - b * sin, a * sin + b * cos}, 4).flatten(3).to(x_BTHd.scalar_type());
  });
}

Tensor layer_norm(const Tensor& x_n, const Tensor& w_n, const Tensor& b_n, double eps) {
  TORCH_CHECK(w_n.dim() == 1 && w_n.size(0) == x_n.size(-1) && w_n.sizes() == b_n.sizes(), "layer_norm: rows ",
              x_n.sizes(), ", a scale ", w_n.sizes(), " and a shift ", b_n.sizes(), " do not fit each other");
  return captured([=] {
    const Tensor wide = widened(x_n), centred = wide - wide.mean(-1, true);
    const Tensor unit = centred * (centred.square().mean(-1, true) + eps).rsqrt();
    return (unit * w_n + b_n).to(x_n.scalar_type());
  });
}

Tensor rates_of_places(const Tensor& learned_C) {
  return captured([=] {
    return (1 / at::arange(1, learned_C.size(0) + 1, learned_C.options().requires_grad(false)) + learned_C)
        .clamp_min(0);
  });
}

Tensor scaled_sigmoid(const Tensor& x_H, const Tensor& b_H, double factor) {
  TORCH_CHECK(b_H.dim() == 1 && b_H.size(0) == x_H.size(-1), "scaled_sigmoid: ", x_H.sizes(), " and ", b_H.sizes(),
              " do not fit each other");
  return captured([=] { return factor * (widened(x_H) + b_H).sigmoid(); });
}

}  // namespace ingrain::ops
