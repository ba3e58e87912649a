#include "ops/windowed_attention/windowed_attention.h"

#include "ops/checks.h"
#include "ops/backend.h"
#include "ops/activation_cache.h"
#include "ops/windowed_attention/sink.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const AttentionKernels& windowed_attention_kernels(const Tensor& x) {
  return select(x, attention_reference, attention_cpu, attention_cuda);
}

void check_sink(const Tensor& q, const Tensor& k, const Sink& sink) {
  if (!sink.s_PBTH.defined() && !sink.v_Gd.defined()) return;
  TORCH_CHECK(sink.s_PBTH.defined() && sink.v_Gd.defined() && sink.s_PBTH.sizes() == q.sizes().slice(0, 4) &&
                  sink.v_Gd.sizes() == k.sizes().slice(3),
              "windowed_attention: a sink's scores must be as many as queries ", q.sizes(),
              ", its value one for the heads of keys ", k.sizes());
  TORCH_CHECK(alike(sink.s_PBTH, q) && alike(sink.v_Gd, q),
              "windowed_attention: a sink must have the queries' type and device");
}

void check(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past, int64_t window, double scale) {
  TORCH_CHECK(q.dim() == 5 && k.dim() == 5 && (planes(q) == 1 || planes(q) == 2) &&
                  q.sizes().slice(0, 3) == k.sizes().slice(0, 3) && q.size(4) == k.size(4) && k.sizes() == v.sizes(),
              "windowed_attention: queries ", q.sizes(), " do not fit keys ", k.sizes(), " and values ", v.sizes());
  TORCH_CHECK(k.size(3) > 0 && q.size(3) % k.size(3) == 0, "windowed_attention: ", q.size(3), " heads cannot share ",
              k.size(3), " heads of keys evenly");
  TORCH_CHECK(alike(k, q) && alike(v, q), "windowed_attention: keys and values must have the queries' type and device");
  // With a scale below 0 the largest q k would not be the largest score.
  TORCH_CHECK(window >= 1 && scale > 0, "windowed_attention: a window of ", window, " must be at least 1, a scale of ",
              scale, " above 0");
  if (!past.k_BWGd.defined() && !past.v_BWGd.defined()) return;
  const auto fits = [&](const Tensor& x) {
    return x.defined() && x.dim() == 4 && x.size(0) == k.size(1) && x.sizes().slice(2) == k.sizes().slice(3) &&
           alike(x, q);
  };
  TORCH_CHECK(
      fits(past.k_BWGd) && fits(past.v_BWGd) && past.k_BWGd.size(1) == past.v_BWGd.size(1),
      "windowed_attention: the past's keys and values must be [B, W, G, d], of the type and on the device of new ones ",
      k.sizes());
}

AttentionKernels::Output attend(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past, int64_t window,
                                double scale, const Sink& sink) {
  const auto out = ActivationCache::through({-3, -1}, [&] {
    const auto computed = windowed_attention_kernels(q).forward(q, k, v, past, window, scale);
    return std::vector<Tensor>{computed.o_PBTHd, computed.stats};
  });
  const AttentionKernels::Output window_only{out[0], out[1]};
  return sink.defined() ? with_sink(window_only, sink, past.length(), window) : window_only;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                        const std::optional<Tensor>& past_k, const std::optional<Tensor>& past_v,
                        const std::optional<Tensor>& sink_s, const std::optional<Tensor>& sink_v, bool sink_always,
                        int64_t window, double scale) {
    const KvWindow past{past_k.value_or(Tensor()), past_v.value_or(Tensor())};
    const Sink sink{sink_s.value_or(Tensor()), sink_v.value_or(Tensor()), sink_always};
    const auto out = attend(q, k, v, past, window, scale, sink);
    ctx->save_for_backward({q, k, v, past.k_BWGd, past.v_BWGd, out.o_PBTHd, out.stats, sink.s_PBTH, sink.v_Gd});
    ctx->saved_data["sink_always"] = sink_always;
    ctx->saved_data["window"] = window;
    ctx->saved_data["scale"] = scale;
    return out.o_PBTHd;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto s = ctx->get_saved_variables();
    const KvWindow past{s[3], s[4]};
    const bool want_past = s[3].defined() && ctx->needs_input_grad(3);
    const Sink sink{s[7], s[8], ctx->saved_data["sink_always"].toBool()};
    const AttentionKernels::Output out{s[5], s[6], sink.defined()};
    const int64_t window = ctx->saved_data["window"].toInt();
    const Tensor go = grads[0].contiguous();
    const auto g = windowed_attention_kernels(s[0]).backward(go, s[0], s[1], s[2], past, out, window,
                                                             ctx->saved_data["scale"].toDouble(), want_past);
    SinkGradients of_sink;
    if (sink.defined()) of_sink = sink_gradients(go, out, sink, past.length(), window);
    return {g.q_PBTHd,      g.k_PBTGd,    g.v_PBTGd, g.past_k_BWGd, g.past_v_BWGd,
            of_sink.s_PBTH, of_sink.v_Gd, Tensor(),  Tensor(),      Tensor()};
  }
};

}  // namespace

Tensor windowed_attention(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past, int64_t window,
                          double scale, const Sink& sink) {
  check(q, k, v, past, window, scale);
  check_sink(q, k, sink);
  if (!needs_graph(q, k, v, past.k_BWGd, past.v_BWGd, sink.s_PBTH, sink.v_Gd))
    return attend(q, k, v, past, window, scale, sink).o_PBTHd;
  const auto given = [](bool there, const Tensor& x) { return there ? std::optional<Tensor>(x) : std::nullopt; };
  const bool has_past = past.length() > 0;
  return AttentionFunction::apply(q, k, v, given(has_past, past.k_BWGd), given(has_past, past.v_BWGd),
                                  given(sink.defined(), sink.s_PBTH), given(sink.defined(), sink.v_Gd), sink.always,
                                  window, scale);
}

}  // namespace ingrain::ops
