// Every kind of mixer. A new one is a folder, included and named here. Few files include this: those that go through
// all kinds, and tests that ask for one by name. Free of libtorch.
#pragma once

#include "model/mixers/attention/sizes.h"
#include "model/mixers/gated_delta_net/sizes.h"
#include "model/mixers/gated_delta_net2/sizes.h"
#include "model/mixers/in_place_ttt/sizes.h"
#include "model/mixers/kind.h"
#include "model/mixers/kv_binding/sizes.h"
#include "model/mixers/mamba2/sizes.h"

#include <utility>

/// All kinds: MIXER(name, Type), attention first. The name is what configurations say; TypeSizes is a struct,
/// name_mixer is a LayerMixer (mixers/mixer.h).
// clang-format off: it wavers between two forms of this
#define INGRAIN_MIXERS(MIXER) \
  MIXER(attention, Attention) MIXER(gated_delta_net, GatedDeltaNet) MIXER(gated_delta_net2, GatedDeltaNet2) \
  MIXER(in_place_ttt, InPlaceTtt) MIXER(kv_binding, KvBinding) MIXER(mamba2, Mamba2)
// clang-format on

namespace ingrain {

#define INGRAIN_MIXER_KIND(name, Type) name,
enum class MixerKind : uint8_t { INGRAIN_MIXERS(INGRAIN_MIXER_KIND) };
#undef INGRAIN_MIXER_KIND
static_assert(MixerKind::attention == kAttention);

#define INGRAIN_MIXER_NAME(name, Type) {#name, MixerKind::name},
constexpr std::pair<const char*, MixerKind> kMixerNames[] = {INGRAIN_MIXERS(INGRAIN_MIXER_NAME)};
#undef INGRAIN_MIXER_NAME

/// Calls visit(kind, sizes) for every kind's sizes. Each struct has `fields(visit)`, which calls visit(key in
/// config.json, member), and `validate(where)`, which throws Error naming the field if the model has such layers and
/// they cannot be.
template <class Sizes, class Visit>
void each_mixer(Sizes&& sizes, const Visit& visit) {
#define INGRAIN_VISIT_MIXER(name, Type) visit(MixerKind::name, sizes.template of<Type##Sizes>());
  INGRAIN_MIXERS(INGRAIN_VISIT_MIXER)
#undef INGRAIN_VISIT_MIXER
}

}  // namespace ingrain
