// Kernel tables of backends that this build lacks: their operations' reference formulas, which run anywhere.
#include "ops/heads/heads.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops {

#define INGRAIN_UNBUILT(type, name)               \
  const type name##_cpu = name##_reference;       \
  const type name##_cuda = name##_reference

INGRAIN_UNBUILT(RmsNormKernels, rms_norm);
INGRAIN_UNBUILT(SwigluKernels, swiglu);
INGRAIN_UNBUILT(HeadsKernels, heads);
INGRAIN_UNBUILT(AttentionKernels, attention);
INGRAIN_UNBUILT(CrossEntropyKernels, cross_entropy);

}  // namespace ingrain::ops
