// CPU kernels on every instruction set that this processor has and they are compiled for.
#pragma once

#include "ops/cpu/targets.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace ingrain::test {

template <class Check>
void on_every_instruction_set(const Check& check) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace ingrain::test
