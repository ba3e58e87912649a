#include "ops/linear/linear.h"

#include "ops/checks.h"
#include "ops/gemv/gemv.h"
#include "ops/linear/products.h"
#include "ops/activation_cache.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor rows(const Tensor& x) { return x.reshape({-1, x.size(-1)}); }

Tensor with_last(const Tensor& y_NF, const Tensor& like) {
  auto sizes = like.sizes().vec();
  sizes.back() = y_NF.size(-1);
  return y_NF.view(sizes);
}

Tensor linear_forward(const Tensor& x, const Tensor& w_FD) {
  return ActivationCache::through(-2, [&] { return with_last(product_nt(rows(x), w_FD), x); });
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w_FD) {
    ctx->save_for_backward({x, w_FD});
    return linear_forward(x, w_FD);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor g_NF = rows(grads[0]);
    return {ctx->needs_input_grad(0) ? with_last(product_nn(g_NF, saved[1]), saved[0]) : Tensor(),
            ctx->needs_input_grad(1) ? product_tn(g_NF, rows(saved[0])) : Tensor()};
  }
};

/// The planes of a sequence that is alone, as rows of one product.
Tensor planes_as_rows(const Tensor& x_P1TD) { return x_P1TD.reshape({1, -1, x_P1TD.size(3)}); }

/// gᵀ x over both planes, in `type`: the weight's, which may have more digits than the operands.
Tensor weight_gradient(const Tensor& g_PBTF, const Tensor& x_PBTD, at::ScalarType type) {
  const ProductKernels& k = products_for(x_PBTD);
  if (!is_dual(x_PBTD)) return k.batched_tn(primal(g_PBTF), primal(x_PBTD), type);
  if (x_PBTD.size(1) == 1) return k.batched_tn(planes_as_rows(g_PBTF), planes_as_rows(x_PBTD), type);
  const Tensor gw_BFD = k.batched_tn(primal(g_PBTF), primal(x_PBTD), type);
  k.add_batched_tn(gw_BFD, tangent(g_PBTF), tangent(x_PBTD));
  return gw_BFD;
}

/// Both planes through the same weight: one product where the sequence is alone, one a plane otherwise.
Tensor each_plane(const Tensor& x_PBTD, const Tensor& w_BFD) {
  const int64_t P = x_PBTD.size(0), B = x_PBTD.size(1), T = x_PBTD.size(2), F = w_BFD.size(1);
  const ProductKernels& k = products_for(x_PBTD);
  if (B == 1) return k.batched_nt(planes_as_rows(x_PBTD), w_BFD).view({P, 1, T, F});
  if (P == 1) return k.batched_nt(x_PBTD[0], w_BFD).unsqueeze(0);
  const Tensor y_PBTF = at::empty({P, B, T, F}, x_PBTD.options());
  for (int64_t p = 0; p < P; ++p) k.put_batched_nt(y_PBTF[p], x_PBTD[p], w_BFD);
  return y_PBTF;
}

/// Whether each_plane rounds a weight of more digits as it reads it, so that nobody need copy it first.
bool rounds_in_place(const Tensor& x_PBTD, const Tensor& w_BFD) {
  return gemv_fits(x_PBTD.size(1) == 1 ? planes_as_rows(x_PBTD) : x_PBTD[0], w_BFD);
}

Tensor fast_product(const Tensor& x_PBTD, const Tensor& w_BFD, const std::optional<Tensor>& dw_BFD) {
  if (!dw_BFD) return each_plane(x_PBTD, w_BFD);
  const ProductKernels& k = products_for(x_PBTD);
  if (!is_dual(x_PBTD)) {
    const Tensor y_PBTF = at::empty({2, x_PBTD.size(1), x_PBTD.size(2), w_BFD.size(1)}, x_PBTD.options());
    k.put_batched_nt(primal(y_PBTF), primal(x_PBTD), w_BFD);
    k.put_batched_nt(tangent(y_PBTF), primal(x_PBTD), *dw_BFD);
    return y_PBTF;
  }
  const Tensor y_PBTF = each_plane(x_PBTD, w_BFD);
  k.add_batched_nt(tangent(y_PBTF), primal(x_PBTD), *dw_BFD);
  return y_PBTF;
}

Tensor fast_forward(const Tensor& x_PBTD, const Tensor& w_BFD, const std::optional<Tensor>& dw_BFD) {
  return ActivationCache::through(-2, [&] { return fast_product(x_PBTD, w_BFD, dw_BFD); });
}

/// y = x wᵀ; dy = dx wᵀ + x dwᵀ, with g | gdy their cotangents:
///   gx = g w + gdy dw;  gdx = gdy w;  gw = gᵀ x + gdyᵀ dx.
/// w in its own type is there to be differentiated; products see it rounded.
struct FastLinearFunction : torch::autograd::Function<FastLinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_PBTD, const Tensor& w_BFD, const Tensor& rounded_BFD,
                        const std::optional<Tensor>& dw_BFD) {
    ctx->save_for_backward({x_PBTD, rounded_BFD, dw_BFD.value_or(Tensor())});
    ctx->saved_data["type"] = w_BFD.scalar_type();
    return fast_forward(x_PBTD, rounded_BFD, dw_BFD);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x_P = saved[0], &w_BFD = saved[1], &dw_BFD = saved[2];
    const Tensor g_P = grads[0].contiguous(), g_of_x_P = g_P.narrow(0, 0, planes(x_P));
    Tensor gx_P, gw_BFD;
    if (ctx->needs_input_grad(0)) {
      gx_P = each_plane(g_of_x_P, w_BFD.transpose(1, 2));
      if (dw_BFD.defined()) products_for(x_P).add_batched_nt(primal(gx_P), tangent(g_P), dw_BFD.transpose(1, 2));
    }
    if (ctx->needs_input_grad(1)) gw_BFD = weight_gradient(g_of_x_P, x_P, ctx->saved_data["type"].toScalarType());
    return {gx_P, gw_BFD, Tensor(), Tensor()};
  }
};

void check_fast(const Tensor& x_PBTD, const Tensor& w, const Tensor& dw, const Tensor& rounded) {
  TORCH_CHECK(x_PBTD.dim() == 4 && (planes(x_PBTD) == 1 || planes(x_PBTD) == 2) && (w.dim() == 2 || w.dim() == 3) &&
                  w.size(-1) == x_PBTD.size(3) && (w.dim() == 2 || w.size(0) == x_PBTD.size(1)),
              "fast_linear: rows ", x_PBTD.sizes(), " do not fit weights ", w.sizes());
  for (const Tensor* like_w : {&dw, &rounded})
    TORCH_CHECK(!like_w->defined() || like_w->sizes() == w.sizes(), "fast_linear: a tangent or rounded weights ",
                like_w->sizes(), " must be like the weights ", w.sizes());
  TORCH_CHECK(!rounded.defined() || rounded.scalar_type() == x_PBTD.scalar_type(),
              "fast_linear: rounded weights must have the rows' type");
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w_FD, const Tensor& bias_F) {
  TORCH_CHECK(
      x.dim() >= 2 && w_FD.dim() == 2 && (!bias_F.defined() || (bias_F.dim() == 1 && bias_F.size(0) == w_FD.size(0))),
      "linear: rows ", x.sizes(), " and weights ", w_FD.sizes(),
      " do not fit each other or the bias");  // columns: the product
  TORCH_CHECK(w_FD.scalar_type() == x.scalar_type(), "linear: rows and weights must have one type");
  const Tensor y = needs_graph(x, w_FD) ? LinearFunction::apply(x, w_FD) : linear_forward(x, w_FD);
  if (!bias_F.defined()) return y;
  const ProductKernels& k = products_for(x);
  return is_dual(y) ? at::stack({k.add_bias(primal(y), bias_F), tangent(y)}) : k.add_bias(y, bias_F);
}

Tensor fast_linear(const Tensor& x_PBTD, const Tensor& w, const Tensor& dw, const Tensor& rounded,
                   const Tensor& whose_B) {
  check_fast(x_PBTD, w, dw, rounded);
  if (whose_B.defined()) {
    TORCH_CHECK(!is_dual(x_PBTD) && !dw.defined() && !needs_graph(x_PBTD, w) && w.dim() == 3,
                "fast_linear: weights that sequences share are for one plane without a graph or a tangent");
    TORCH_CHECK(whose_B.scalar_type() == at::kLong && whose_B.dim() == 1 && whose_B.size(0) == x_PBTD.size(1) &&
                    whose_B.device() == x_PBTD.device(),
                "fast_linear: ", whose_B.scalar_type(), " ", whose_B.sizes(), " must say whose weights each takes");
    return products_for(x_PBTD).batched_nt_shared(x_PBTD[0], w, whose_B).unsqueeze(0);
  }
  const int64_t B = x_PBTD.size(1);
  const auto type = x_PBTD.scalar_type();
  if (w.dim() == 2 && !dw.defined()) return ops::linear(x_PBTD, w.to(type));
  const auto of_sequences = [&](const Tensor& w_FD) {
    return w_FD.dim() == 3 ? w_FD : w_FD.unsqueeze(0).expand({B, -1, -1});
  };
  const auto dw_BFD = dw.defined() ? std::optional<Tensor>(dw.to(type)) : std::nullopt;
  const Tensor x = x_PBTD.contiguous();
  const auto at_hand = [&] { return of_sequences(rounded.defined() ? rounded : w.detach().to(type)); };
  if (needs_graph(x, w)) return FastLinearFunction::apply(x, of_sequences(w), at_hand(), dw_BFD);
  const bool in_place = !dw.defined() && !rounded.defined() && rounds_in_place(x, w);
  return fast_forward(x, in_place ? w : at_hand(), dw_BFD);
}

}  // namespace ingrain::ops
