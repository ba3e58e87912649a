#include "ingrain/tensors.h"

#include "api/parts.h"
#include "ops/quantized/quantized.h"

#include <nlohmann/json.hpp>

namespace ingrain {

NamedTensors named(const ModelConfig& config, const Weights& weights) {
  NamedTensors out;
  Weights handles = weights;
  visit_parameters(config, handles, [&](const std::string& name, Tensor& x, ParameterKind) {
    if (!ops::is_quantized(x)) out.emplace_back(name, x);
  });
  return out;
}

NamedTensors parameters(const Model& model) {
  return named(model.parts().network.config, model.parts().network.weights);
}

std::string config_of(const Model& model) { return to_json(model.parts().network.config).dump(2); }

NamedTensors fast_weights(Memory& memory) {
  NamedTensors out;
  const std::vector<Mlp>& W_S = memory.state().session.memory().W_S;
  for (size_t s = 0; s < W_S.size(); ++s) {
    out.emplace_back(fmt::format("fast.{}.w13", s), W_S[s].w13_FD[0]);
    out.emplace_back(fmt::format("fast.{}.w2", s), W_S[s].w2_DF[0]);
  }
  return out;
}

NamedTensors tensors(Memory& memory) {
  NamedTensors out;
  memory.state().session.memory().visit([&](const std::string& name, const Tensor& x) { out.emplace_back(name, x); });
  return out;
}

at::Tensor next_logits(Memory& memory) { return memory.state().session.logits_BV()[0]; }

}  // namespace ingrain
