// CPU kernels on every instruction set that this processor has and they are compiled for.
#pragma once

#include "ops/simd/processor.h"
#include "ops/simd/targets.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace ingrain::test {

/// Calls check() once for each. Whatever it throws, the next test has the processor's best again.
template <class Check>
void on_every_instruction_set(const Check& check) {
  struct BestAgain {
    const bool amx = ops::has_amx();
    ~BestAgain() {
      hwy::SetSupportedTargetsForTest(0);
      ops::use_amx_for_test(amx);
    }
  } const best_again;
  auto targets = hwy::SupportedAndGeneratedTargets();
#if HWY_ARCH_X86
  // For kernels that are compiled for it (ops/simd/targets.h), whatever this file was; the others take their AVX-512's.
  if ((hwy::SupportedTargets() & HWY_AVX3_DL) && (HWY_TARGETS & HWY_AVX3_DL) == 0)
    targets.push_back(HWY_AVX3_DL | HWY_AVX3);
#endif
  ASSERT_FALSE(targets.empty()) << "nothing would be compared";
  for (const int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(target & HWY_AVX3_DL ? "AVX3_DL" : hwy::TargetName(target));
    if ((target & HWY_AVX3_DL) && ops::has_amx()) {
      SCOPED_TRACE("AMX");
      check();
      ops::use_amx_for_test(false);
    }
    check();
  }
}

}  // namespace ingrain::test
