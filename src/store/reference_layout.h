// The reference implementation's parameter names and shapes (flattened pytree paths; linear weights [in, out];
// blocks stacked over layers), to and from ours. Source: golden/README.md.
#pragma once

#include "model/weights.h"

#include <map>

namespace ingrain {

using ReferenceTensors = std::map<std::string, Tensor>;

/// Our parameters under the reference's names, any type. Exact: only transposes and stacks.
ReferenceTensors to_reference(const ModelConfig& config, const Weights& weights);

/// The inverse. `get` returns the tensor of a reference name (or throws). Error naming the tensor if a shape is off.
Weights from_reference(const ModelConfig& config, const std::function<Tensor(const std::string&)>& get);

/// The name under which the fast weights' quantities are stored: "...suffix_blocks.feed_forward_prime.w1.weight".
std::string reference_fast_name(const std::string& matrix);

/// w1, w2, w3 of all fast MLPs, stacked over layers, as [..., S, in, out]; the Mlp's tensors may have leading axes.
ReferenceTensors fast_to_reference(const std::vector<Mlp>& fast_S);

}  // namespace ingrain
