#include "bench/step_time.h"

#include "bench/work.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

constexpr double kGradientBytes = 4;           // fp32 sums
constexpr double kOptimizerBytes = 4 * 4 * 2;  // gradient, master weight, two moments: read, and all but one written

/// Every rank sends as many bytes to each of the others, all at once: what stays within the machine and what leaves it
/// go by different wires.
double time_to_all(double bytes_each, const Rates& rates, int64_t gpus) {
  const double near = static_cast<double>(std::min(gpus, rates.gpus_per_node) - 1);
  const double far = static_cast<double>(gpus - 1) - near;
  return std::max(near * bytes_each / (1e9 * rates.node_gbytes), far * bytes_each / (1e9 * rates.network_gbytes)) +
         (near + far) * 1e-6 * rates.latency_us;
}

}  // namespace

StepTime step_time(const TrainingShape& shape, const Rates& rates, int64_t gpus) {
  const double N = static_cast<double>(gpus), numbers = static_cast<double>(shape.trained);
  const Work work = (shape.meta ? meta_step_work : standard_step_work)(shape.config, shape.length);
  // A block's forward pass is a third of its forward and backward passes; the prefix's are made again.
  const double again = shape.recompute ? (shape.meta ? work.prefix : work.prefix + work.suffix) / 3 : 0;
  StepTime out;
  out.computing = 2 * (work.total() + again) * static_cast<double>(shape.batch) / N / (1e12 * rates.tflops);
  out.optimizer = kOptimizerBytes * numbers / N / (1e9 * rates.memory_gbytes);
  if (gpus == 1) return out;
  out.reducing = time_to_all(kGradientBytes * numbers / N, rates, gpus);
  out.publishing = time_to_all(static_cast<double>(shape.weight_bytes) * numbers / N, rates, gpus);
  return out;
}

double bytes_sent(const TrainingShape& shape, int64_t gpus) {
  const double N = static_cast<double>(gpus);
  return (kGradientBytes + static_cast<double>(shape.weight_bytes)) * static_cast<double>(shape.trained) * (N - 1) / N;
}

}  // namespace ingrain::bench
