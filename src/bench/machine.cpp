#include "bench/machine.h"

#include "base/interrupt.h"
#include "bench/commit.h"
#include "bench/stopwatch.h"
#include "model/gpus.h"
#include "model/network.h"
#include "ops/simd/processor.h"
#include "ops/linear/products.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sched.h>

namespace ingrain::bench {
namespace {

/// The first line of a file under /proc that begins with `key`, without the key and what separates it.
std::string proc_field(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t begin = line.find_first_not_of(" \t:", key.size());
    return begin == line.npos ? "" : line.substr(begin);
  }
  return "";
}

int64_t usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// The shortest of the runs that fit in half a second, in seconds; in a tenth, where a signal has come.
double shortest(at::Device device, const std::function<void()>& run) {
  run();
  const Stopwatch all(device);
  double best = 1e30;
  while (all.seconds() < (interrupted() ? 0.1 : 0.5)) {
    const Stopwatch watch(device);
    run();
    best = std::min(best, watch.seconds());
  }
  return best;
}

}  // namespace

Machine describe_machine(at::Device device) {
  double load = 0;
  getloadavg(&load, 1);
  return {device.str(),
          device.is_cuda() ? find_gpus().names.at(static_cast<size_t>(device.index())) : "",
          proc_field("/proc/cpuinfo", "model name"),
          std::string(ops::name_of(ops::vectors())),
          usable_cores(),
          at::get_num_threads(),
          load,
          TORCH_VERSION,
          kCommit};
}

double Peaks::share_of_products(double gflops_reached, at::ScalarType type) const {
  return gflops_reached / gflops.at(compute_type_name(type));
}

Peaks measure_peaks(const std::vector<at::ScalarType>& types, at::Device device) {
  const at::NoGradGuard no_grad;
  // Large enough for full speed, and for no cache to hold what is read.
  const int64_t side = device.is_cpu() ? 2048 : 8192, numbers = int64_t{1} << (device.is_cpu() ? 26 : 28);
  Peaks out;
  for (const at::ScalarType type : types) {
    const auto options = at::TensorOptions().dtype(type).device(device);
    const Tensor a = at::randn({side, side}, options), b = at::randn({side, side}, options);
    const double seconds = shortest(device, [&] { ops::product_nt(a, b); });
    out.gflops[compute_type_name(type)] = 2e-9 * static_cast<double>(side * side) * static_cast<double>(side) / seconds;
  }
  const Tensor long_n = at::ones({numbers}, at::TensorOptions().device(device));
  out.gbytes = 1e-9 * static_cast<double>(long_n.nbytes()) / shortest(device, [&] { long_n.sum(); });
  return out;
}

uint64_t peak_memory(at::Device device) {
  if (device.is_cpu())
    return std::strtoull(proc_field("/proc/self/status", "VmHWM:").c_str(), nullptr, 10) *
           1024;  // the kernel writes kB
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<uint64_t>(at::accelerator::getDeviceStats(device.index()).allocated_bytes[kAll].peak);
}

void forget_peak_memory(at::Device device) {
  if (!device.is_cpu()) at::accelerator::resetPeakStats(device.index());
}

}  // namespace ingrain::bench
