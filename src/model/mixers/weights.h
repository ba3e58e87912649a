// The parameters of every kind of mixer (mixers/kinds.h), as members of a block; those of kinds that a layer has not
// are undefined.
#pragma once

#include "model/mixers/attention/weights.h"
#include "model/mixers/gated_delta_net/weights.h"
#include "model/mixers/kinds.h"
#include "model/mixers/mamba2/weights.h"

namespace ingrain {

struct MixerWeights {
#define INGRAIN_MIXER_WEIGHTS(name, Type) Type##Weights name;
  INGRAIN_MIXERS(INGRAIN_MIXER_WEIGHTS)
#undef INGRAIN_MIXER_WEIGHTS
};

}  // namespace ingrain
