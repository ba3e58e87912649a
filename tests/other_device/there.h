// A tiny model on the CPU, and the same one on the device that device.h acts out.
#pragma once

#include "other_device/device.h"
#include "scratch.h"
#include "tiny_model.h"

namespace ingrain::test {

class OtherDevice : public ScratchTest {
 protected:
  static Network there(const Network& here) {
    Network out = here;
    out.weights = convert(here.config, here.weights, here.weights.type(), kOther);
    return out;
  }
  static void expect_same(const Tensor& here, const Tensor& there) {
    EXPECT_EQ(there.device(), kOther);
    EXPECT_LT(max_difference(here.nan_to_num(-1), there.cpu().nan_to_num(-1)), 1e-10);
  }
};

}  // namespace ingrain::test
