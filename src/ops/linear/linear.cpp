#include "ops/linear/linear.h"

#include "ops/linear/few_rows.h"
#include "ops/linear/products.h"
#include "ops/tape.h"

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
  return Tape::through(-2, [&] { return with_last(product_nt(rows(x), w_FD), x); });
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

/// A product per sequence, x_BTD with w_BFD. One at a time on the CPU, where that is as fast; batched on a GPU.
Tensor batched_nt(const Tensor& x_BTD, const Tensor& w_BFD) {
  if (has_few_rows(x_BTD, w_BFD)) return few_rows_nt(x_BTD, w_BFD);
  if (!x_BTD.is_cpu()) return at::bmm(x_BTD, w_BFD.transpose(1, 2));
  if (x_BTD.size(0) == 1) return product_nt(x_BTD[0], w_BFD[0]).unsqueeze(0);
  std::vector<Tensor> parts;
  for (int64_t b = 0; b < x_BTD.size(0); ++b) parts.push_back(product_nt(x_BTD[b], w_BFD[b]));
  return at::stack(parts);
}
Tensor batched_nn(const Tensor& g_BTF, const Tensor& w_BFD) {
  if (!g_BTF.is_cpu()) return at::bmm(g_BTF, w_BFD);
  return batched_nt(g_BTF, w_BFD.transpose(1, 2));
}
Tensor batched_tn(const Tensor& g_BTF, const Tensor& x_BTD) {
  if (!g_BTF.is_cpu()) return at::bmm(g_BTF.transpose(1, 2), x_BTD);
  if (g_BTF.size(0) == 1) return product_tn(g_BTF[0], x_BTD[0]).unsqueeze(0);
  std::vector<Tensor> parts;
  for (int64_t b = 0; b < g_BTF.size(0); ++b) parts.push_back(product_tn(g_BTF[b], x_BTD[b]));
  return at::stack(parts);
}

/// The planes of a sequence that is alone, as rows of one product.
Tensor planes_as_rows(const Tensor& x_P1TD) { return x_P1TD.reshape({1, -1, x_P1TD.size(3)}); }

/// Both planes through the same weight: one product where the sequence is alone, one a plane otherwise.
template <class Product>
Tensor each_plane(Product product, const Tensor& x_PBTD, const Tensor& w_BFD) {
  const int64_t P = x_PBTD.size(0), B = x_PBTD.size(1), T = x_PBTD.size(2);
  if (B == 1) {
    const Tensor y = product(planes_as_rows(x_PBTD), w_BFD);
    return y.view({P, 1, T, y.size(-1)});
  }
  if (P == 1) return product(x_PBTD[0], w_BFD).unsqueeze(0);
  return at::stack({product(x_PBTD[0], w_BFD), product(x_PBTD[1], w_BFD)});
}

/// Whether each_plane(batched_nt) rounds a weight of more digits as it reads it, so that nobody need copy it first.
bool rounds_in_place(const Tensor& x_PBTD, const Tensor& w_BFD) {
  return has_few_rows(x_PBTD.size(1) == 1 ? planes_as_rows(x_PBTD) : x_PBTD[0], w_BFD);
}

Tensor fast_product(const Tensor& x_PBTD, const Tensor& w_BFD, const std::optional<Tensor>& dw_BFD) {
  Tensor y_P = each_plane(batched_nt, x_PBTD, w_BFD);
  if (!dw_BFD) return y_P;
  const Tensor from_dw = batched_nt(value(x_PBTD), *dw_BFD);
  if (planes(y_P) == 1) return at::cat({y_P, from_dw.unsqueeze(0)});
  tangent(y_P).add_(from_dw);
  return y_P;
}

Tensor fast_forward(const Tensor& x_PBTD, const Tensor& w_BFD, const std::optional<Tensor>& dw_BFD) {
  return Tape::through(-2, [&] { return fast_product(x_PBTD, w_BFD, dw_BFD); });
}

/// y = x wᵀ; dy = dx wᵀ + x dwᵀ, with g | gdy their cotangents:
///   gx = g w + gdy dw;  gdx = gdy w;  gw = gᵀ x + gdyᵀ dx.
struct FastLinearFunction : torch::autograd::Function<FastLinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_PBTD, const Tensor& w_BFD,
                        const std::optional<Tensor>& dw_BFD) {
    ctx->save_for_backward({x_PBTD, w_BFD, dw_BFD.value_or(Tensor())});
    return fast_forward(x_PBTD, w_BFD, dw_BFD);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x_P = saved[0], &w_BFD = saved[1], &dw_BFD = saved[2];
    const Tensor g_P = grads[0].contiguous();
    const int64_t P = planes(x_P);
    Tensor gx_P, gw_BFD;
    if (ctx->needs_input_grad(0)) {
      gx_P = each_plane(batched_nn, g_P.narrow(0, 0, P), w_BFD);
      if (dw_BFD.defined()) value(gx_P).add_(batched_nn(tangent(g_P), dw_BFD));
    }
    if (ctx->needs_input_grad(1)) {
      if (P == 2 && x_P.size(1) == 1) {  // one product over the rows of both planes
        gw_BFD = batched_tn(planes_as_rows(g_P), planes_as_rows(x_P));
      } else {
        gw_BFD = batched_tn(value(g_P), value(x_P));
        if (P == 2) gw_BFD.add_(batched_tn(tangent(g_P), tangent(x_P)));
      }
    }
    return {gx_P, gw_BFD, Tensor()};
  }
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w_FD, const Tensor& bias_F) {
  Tensor y = needs_graph(x, w_FD) ? LinearFunction::apply(x, w_FD) : linear_forward(x, w_FD);
  if (!bias_F.defined()) return y;
  if (planes(y) == 1) return y + bias_F;
  return at::stack({value(y) + bias_F, tangent(y)});
}

Tensor fast_linear(const Tensor& x_PBTD, const Tensor& w, const Tensor& dw) {
  const bool in_place = !dw.defined() && !needs_graph(x_PBTD, w) && w.dim() == 3 && rounds_in_place(x_PBTD, w);
  const Tensor rounded = in_place ? w : w.to(x_PBTD.scalar_type());
  if (w.dim() == 2 && !dw.defined()) return ops::linear(x_PBTD, rounded);
  const Tensor w_BFD = w.dim() == 3 ? rounded : rounded.unsqueeze(0).expand({x_PBTD.size(1), -1, -1});
  const auto dw_BFD = dw.defined() ? std::optional<Tensor>(dw.to(x_PBTD.scalar_type())) : std::nullopt;
  const Tensor x = x_PBTD.contiguous();
  return needs_graph(x, w) ? FastLinearFunction::apply(x, w_BFD, dw_BFD) : fast_forward(x, w_BFD, dw_BFD);
}

}  // namespace ingrain::ops
