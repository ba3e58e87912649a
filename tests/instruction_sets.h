// CPU kernels on every instruction set that this processor has and they are compiled for.
#pragma once

#include "ops/simd/targets.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace ingrain::test {

/// Calls check() once for each. Whatever it throws, the next test has the processor's best again.
template <class Check>
void on_every_instruction_set(const Check& check) {
  struct BestAgain {
    ~BestAgain() { hwy::SetSupportedTargetsForTest(0); }
  } const best_again;
  const auto targets = hwy::SupportedAndGeneratedTargets();
  ASSERT_FALSE(targets.empty()) << "nothing would be compared";
  for (const int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    check();
  }
}

}  // namespace ingrain::test
