// Every kind of mixer, and the sizes that a model gives each. Free of libtorch. A new kind is a folder, named here and
// in mixers/weights.h.
#pragma once

#include "model/mixers/attention/sizes.h"
#include "model/mixers/gated_delta_net/sizes.h"
#include "model/mixers/mamba2/sizes.h"

/// All kinds: MIXER(name, Type). The name is what configurations say; TypeSizes and TypeWeights are structs, name_mixer
/// is a LayerMixer (mixers/mixer.h).
#define INGRAIN_MIXERS(MIXER) MIXER(attention, Attention) MIXER(gated_delta_net, GatedDeltaNet) MIXER(mamba2, Mamba2)

namespace ingrain {

#define INGRAIN_MIXER_KIND(name, Type) name,
enum class MixerKind { INGRAIN_MIXERS(INGRAIN_MIXER_KIND) };
#undef INGRAIN_MIXER_KIND

/// For all of a model's layers of a kind. Each has `fields(visit)`, which calls visit(key in config.json, member), and
/// `validate(where)`, which throws Error naming the field if the model has such layers and they cannot be.
struct MixerSizes {
#define INGRAIN_MIXER_SIZES(name, Type) Type##Sizes name;
  INGRAIN_MIXERS(INGRAIN_MIXER_SIZES)
#undef INGRAIN_MIXER_SIZES
};

/// Calls visit(kind, sizes) for every kind.
template <class Sizes, class Visit>
void each_mixer(Sizes&& sizes, const Visit& visit) {
#define INGRAIN_VISIT_MIXER(name, Type) visit(MixerKind::name, sizes.name);
  INGRAIN_MIXERS(INGRAIN_VISIT_MIXER)
#undef INGRAIN_VISIT_MIXER
}

}  // namespace ingrain
