#include "bench/stopwatch.h"

#include <ATen/DeviceAccelerator.h>

namespace ingrain::bench {

void wait_for(at::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

}  // namespace ingrain::bench
