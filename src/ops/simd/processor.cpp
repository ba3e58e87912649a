#include "ops/simd/processor.h"

#include "base/error.h"
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"

#include <hwy/targets.h>
#if HWY_ARCH_X86
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdlib>

namespace ingrain::ops {
namespace {

/// What one word of INGRAIN_CPU means to everybody who chooses kernels by the processor.
struct Limit {
  std::string_view word;
  Vectors vectors;
  int64_t disabled;  // Highway's targets
  const char *aten, *mkl, *onednn;
};

#if HWY_ARCH_X86
constexpr Limit kLimits[] = {
    {"avx512_bf16", Vectors::avx512_bf16, 0, "avx512", "AVX512_E3", "AVX512_CORE_BF16"},
    {"avx512", Vectors::avx512, HWY_AVX3_DL, "avx512", "AVX512", "AVX512_CORE"},
    {"avx2", Vectors::avx2, HWY_AVX3_DL | HWY_AVX3, "avx2", "AVX2", "AVX2"},
    {"scalar", Vectors::none, HWY_AVX3_DL | HWY_AVX3 | HWY_AVX2, "default", "SSE4_2", "SSE41"},
};
#else
constexpr Limit kLimits[] = {{"scalar", Vectors::none, ~int64_t{HWY_EMU128 | HWY_SCALAR}, "default", "", ""}};
#endif

#if HWY_ARCH_X86
/// Linux lends the tile registers' 8 KB a thread only to processes that ask (arch_prctl(2)).
bool lends_tiles() {
#ifdef __linux__
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

bool has_tiles_for_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16) && (d & kTiles) && lends_tiles();
}
#endif

Vectors built_in() {
#if HWY_ARCH_X86
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2")) return Vectors::none;
  if (!__builtin_cpu_supports("avx512f")) return Vectors::avx2;
  if (!__builtin_cpu_supports("avx512bf16")) return Vectors::avx512;
  return has_tiles_for_bf16() ? Vectors::amx : Vectors::avx512_bf16;
#else
  return Vectors::none;
#endif
}

#if HWY_ARCH_X86
/// Before any kernel is chosen, in initializers too: our AVX3_DL has bf16, which Ice Lake's lacks (targets.h).
[[gnu::constructor(101)]] void hide_native_bf16_where_it_is_not() {
  if (built_in() < Vectors::avx512_bf16) hwy::DisableTargets(HWY_AVX3_DL);
}
#endif

Vectors& usable() {
  static Vectors value = built_in();
  return value;
}

}  // namespace

Vectors vectors() { return usable(); }

void use_amx_for_test(bool use) {
  if (built_in() == Vectors::amx && usable() >= Vectors::avx512_bf16)
    usable() = use ? Vectors::amx : Vectors::avx512_bf16;
}

std::string_view name_of(Vectors vectors) {
  switch (vectors) {
    case Vectors::amx: return "AMX";
    case Vectors::avx512_bf16: return "AVX-512 bf16";
    case Vectors::avx512: return "AVX-512";
    case Vectors::avx2: return "AVX2";
    case Vectors::none: break;
  }
  return "other";
}

bool is_amd() {
#if HWY_ARCH_X86
  __builtin_cpu_init();
  return __builtin_cpu_is("amd");
#else
  return false;
#endif
}

void limit_processor() {
  const char* const asked = std::getenv("INGRAIN_CPU");
  if (!asked || !*asked) return;
  for (const Limit& limit : kLimits) {
    if (limit.word != asked) continue;
    if (usable() <= limit.vectors) return;
    usable() = limit.vectors;
    hwy::DisableTargets(limit.disabled);
    setenv("ATEN_CPU_CAPABILITY", limit.aten, 1);
    setenv("MKL_ENABLE_INSTRUCTIONS", limit.mkl, 1);
    setenv("ONEDNN_MAX_CPU_ISA", limit.onednn, 1);
    return;
  }
  fail_usage("INGRAIN_CPU={} is not known; choose avx512_bf16, avx512, avx2 or scalar, or leave it away", asked);
}

}  // namespace ingrain::ops
