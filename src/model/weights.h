// The parameters of a model, as tensors in the shapes that the products want.
#pragma once

#include "model/config.h"
#include "model/mixers/weights.h"
#include "ops/dual.h"

#include <functional>
#include <string>
#include <vector>

namespace ingrain {

/// A SwiGLU MLP: w1 and w3 stacked, so that one product makes both. With a leading B for fast weights of B sequences.
struct Mlp {
  Tensor w13_FD;  // [2F, D]: w1, then w3
  Tensor w2_DF;   // [D, F]
};

/// One block. Norms keep fp32 (fp64 in fp64 models), the matrices have the compute type. Undefined: not in this family.
struct BlockWeights {
  Tensor attn_norm_D, attn_post_norm_D;  // around the mixer
  MixerWeights mixer;
  Tensor fast_norm_D, fast_post_norm_D;  // suffix blocks
  Tensor mlp_norm_D;
  Mlp mlp;
  Tensor mlp_post_norm_D;
};

struct Weights {
  Tensor embedding_VD;
  std::vector<BlockWeights> blocks;
  std::vector<Mlp> fast_S;  // W_0, fp32 (fp64) always
  Tensor inner_rate_S;      // learned multipliers of inner_lr, fp32 (fp64); undefined if not learned
  Tensor final_norm_D;
  Tensor head_VD;  // undefined if tied to the embedding

  const Tensor& head() const { return head_VD.defined() ? head_VD : embedding_VD; }
  at::Device device() const { return embedding_VD.device(); }
  at::ScalarType type() const { return embedding_VD.scalar_type(); }
};

/// What a parameter is for: decides its initial value and its type in a half-precision model.
enum class ParameterKind { embedding, matrix, bias, norm, fast, rate };

/// Calls `visit(name, tensor, kind)` for every parameter that `config` has, in a fixed order. Names are ours:
/// "blocks.3.wqkv" (the table: model/parameters.h). The tensors may be undefined (to be filled in); make_weights()
/// gives them the shapes that belong there.
using ParameterVisitor = std::function<void(const std::string& name, Tensor& tensor, ParameterKind kind)>;
void visit_parameters(const ModelConfig& config, Weights& weights, const ParameterVisitor& visit);

/// Empty tensors of the right shapes and types, for `compute` as the matrices' type.
Weights make_weights(const ModelConfig& config, at::ScalarType compute, at::Device device = at::kCPU);

/// Writes a model's first values into tensors that are there: matrices N(0, init_std), norms and rates 1, biases 0.
/// `generator` is one of their device.
void fill_initial(const ModelConfig& config, Weights& weights, const at::Generator& generator);

/// Those in fp32 on the CPU. Deterministic in `seed`.
Weights initial_weights(const ModelConfig& config, uint64_t seed);

/// The same values with matrices of another type or device. Tensors that need no change are shared, not copied.
Weights convert(const ModelConfig& config, const Weights& weights, at::ScalarType compute,
                at::Device device = at::kCPU);

/// Every parameter, in visit order.
std::vector<Tensor> parameter_list(const ModelConfig& config, const Weights& weights);

/// The type of norms, rates and fast weights beside matrices of type `compute`.
inline at::ScalarType master_type(at::ScalarType compute) { return compute == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace ingrain
