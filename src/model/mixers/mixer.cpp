#include "model/mixers/mixer.h"

#include "model/mixers/attention.h"

namespace ingrain {

const LayerMixer& mixer_of(const ModelConfig& /*config*/, int64_t /*layer*/) { return attention_mixer; }

}  // namespace ingrain
