// What does not fit is refused at an operation's door, before a kernel reads its memory: c10::Error, whichever backend
// would run. A table per operation (src/ops/NAME/test.cpp): its inputs, which fit, and ways to spoil one of them.
#pragma once

#include "ops/dual.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <vector>

namespace ingrain::test {

template <class Inputs>
struct Wrong {
  const char* what;
  void (*spoil)(Inputs& x);
};

/// Inputs: made for a type of activations; run() calls the operation.
template <class Inputs>
void expect_refused(const std::vector<Wrong<Inputs>>& table,
                    std::initializer_list<at::ScalarType> types = {at::kFloat, at::kBFloat16, at::kDouble}) {
  for (const at::ScalarType type : types) {
    SCOPED_TRACE(type);
    EXPECT_NO_THROW(Inputs(type).run());
    for (const auto& [what, spoil] : table) {
      Inputs inputs(type);
      spoil(inputs);
      EXPECT_THROW(inputs.run(), c10::Error) << what;
    }
  }
}

}  // namespace ingrain::test
