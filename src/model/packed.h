// Slow weights in eight bits, for decoding.
#pragma once

#include "model/network.h"

namespace ingrain {

/// Rounds every slow matrix of `model` to Q8_0 (ops/linear/q8.h), and keeps the rounded matrices twice: in
/// model.weights in the compute type, for long passes and inner steps, and packed in model.packed, for passes over few
/// tokens. One model, whichever form computes, up to the rounding of activations to 16 bits (q8.h). model.weights change in
/// place, in whatever shares their memory, too. Norms, biases and fast weights stay as they are; so do matrices whose rows are
/// no multiple of 32. CPU, fp32 or bf16.
void pack_slow_weights(Network& model);

/// The same by name: "q8_0" packs, "native" leaves the model as it is. UsageError for anything else.
void choose_weights(Network& model, std::string_view form);

}  // namespace ingrain
