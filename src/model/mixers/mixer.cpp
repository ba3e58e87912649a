#include "model/mixers/mixer.h"

#include "model/mixers/attention.h"

namespace ingrain {

const LayerMixer& mixer_of(const ModelConfig& config, int64_t layer) {
  switch (config.layer(layer).mixer) {
    case MixerKind::attention: break;
  }
  return attention_mixer;
}

}  // namespace ingrain
