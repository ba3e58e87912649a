#include "model/mixers/mixer.h"

#include "model/mixers/kinds.h"

namespace ingrain {

#define INGRAIN_DECLARE_MIXER(name, Type) extern const LayerMixer name##_mixer;
INGRAIN_MIXERS(INGRAIN_DECLARE_MIXER)
#undef INGRAIN_DECLARE_MIXER

namespace {

#define INGRAIN_MIXER_ADDRESS(name, Type) &name##_mixer,
const LayerMixer* const kMixerOfKind[] = {INGRAIN_MIXERS(INGRAIN_MIXER_ADDRESS)};
#undef INGRAIN_MIXER_ADDRESS

}  // namespace

std::span<const LayerMixer* const> all_mixers() { return kMixerOfKind; }

const LayerMixer& mixer_of(MixerKind kind) { return *kMixerOfKind[static_cast<size_t>(kind)]; }

const LayerMixer& mixer_of(const ModelConfig& config, int64_t layer) { return mixer_of(config.layer(layer).mixer); }

}  // namespace ingrain
