// The instruction sets that the CPU kernels are compiled for; include before hwy/foreach_target.h.
// AVX2 and AVX-512 cover the processors that people have, the fallback the rest; more would only cost build time.
// A file that gains from native bf16 defines INGRAIN_WITH_NATIVE_BF16 first and is compiled once more, as AVX3_DL (Zen
// 4, Sapphire Rapids and later). Highway 1.0 knows no target with bf16; those of 1.2 are for AMD's alone (AVX3_ZEN4) or
// want fp16 too (AVX3_SPR). So that one serves all versions, vec-inl.h adds bf16 to AVX3_DL's instructions, and
// processor.cpp hides that target from processors without bf16 (Ice Lake).
#pragma once

#ifdef INGRAIN_WITH_NATIVE_BF16
#define HWY_WANT_AVX3_DL  // Highway leaves it out unless asked
#endif
#include <hwy/detect_targets.h>

#if HWY_ARCH_X86
#undef HWY_DISABLED_TARGETS
#ifdef INGRAIN_WITH_NATIVE_BF16
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL | HWY_EMU128 | HWY_SCALAR))
#else
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3 | HWY_EMU128 | HWY_SCALAR))
#endif
#endif
