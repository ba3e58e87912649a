// The instruction sets that the CPU kernels are compiled for; include before hwy/foreach_target.h.
// AVX2 and AVX-512 cover the processors that people have, the fallback the rest; more would only cost build time.
#pragma once

#include <hwy/detect_targets.h>

#if HWY_ARCH_X86
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3 | HWY_EMU128 | HWY_SCALAR))
#endif
