#include "model/mixers/mixer.h"

namespace ingrain {
namespace {

#define INGRAIN_MIXER_ADDRESS(name, Type) &name##_mixer,
const LayerMixer* const kMixerOfKind[] = {INGRAIN_MIXERS(INGRAIN_MIXER_ADDRESS)};
#undef INGRAIN_MIXER_ADDRESS

}  // namespace

const LayerMixer& mixer_of(MixerKind kind) { return *kMixerOfKind[static_cast<size_t>(kind)]; }

const LayerMixer& mixer_of(const ModelConfig& config, int64_t layer) { return mixer_of(config.layer(layer).mixer); }

}  // namespace ingrain
