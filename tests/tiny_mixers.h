// Small sizes for every kind of mixer, and kinds by name: shapes of tests name mixers so, and need not know them all.
#pragma once

#include "model/config.h"

namespace ingrain::test {

MixerKind mixer_named(const std::string& name);
/// Names of the kinds that carry a state from token to token.
std::vector<std::string> recurrent_mixers();

/// Gives every kind sizes that suit a hidden size of 16.
void give_tiny_sizes(ModelConfig& config);

}  // namespace ingrain::test
