// Models and memories as tensors, for programs that have libtorch too. The one public header, with learner.h, that
// needs libtorch's; ingrain.h does not include it.
#pragma once

#include "ingrain/memory.h"

#include <ATen/core/Tensor.h>

#include <utility>

namespace ingrain {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The model's parameters by our names ("blocks.3.wqkv", docs/architecture.md), its very tensors: not to be written to.
/// Those that are kept in few bits have no numbers in memory and are left out.
NamedTensors parameters(const Model& model);

/// What the model is: the text of its config.json (docs/formats.md).
std::string config_of(const Model& model);

/// The fast weights as they are now: "fast.S.w13" [2F, D], gate above up, and "fast.S.w2" [D, F] of suffix block S,
/// fp32 (fp64). The memory's very tensors, not copies. On a CPU a step writes to no tensor that somebody else holds, so
/// that they stay what they are; on a GPU they follow the memory. Not to be written to: forks may share them.
NamedTensors fast_weights(Memory& memory);

/// All that the memory's file would hold, by the names and in the shapes that it has there. As above, but that keys,
/// values and the unfinished chunk are views that later tokens write to.
NamedTensors tensors(Memory& memory);

/// What the next token is predicted from, [V], in the compute type or wider: the memory's own place, which the next
/// token is written to. Error if nothing was read.
at::Tensor next_logits(Memory& memory);

}  // namespace ingrain
