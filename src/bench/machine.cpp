#include "bench/machine.h"

#include "bench/commit.h"
#include "ops/cpu/processor.h"
#include "ops/linear/products.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <chrono>
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

std::string vectors() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (ops::has_native_bf16()) return "AVX-512 bf16";
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
#endif
  return "other";
}

int64_t usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// The shortest of the runs that fit in half a second, in seconds.
double shortest(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
  run();
  double best = 1e30;
  for (const auto start = Clock::now(); seconds(start, Clock::now()) < 0.5;) {
    const auto before = Clock::now();
    run();
    best = std::min(best, seconds(before, Clock::now()));
  }
  return best;
}

}  // namespace

Machine describe_machine() {
  double load = 0;
  getloadavg(&load, 1);
  return {proc_field("/proc/cpuinfo", "model name"), vectors(), usable_cores(), at::get_num_threads(), load, TORCH_VERSION, kCommit};
}

Peaks measure_peaks(at::ScalarType compute) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kSide = 2048, kNumbers = int64_t{1} << 26;
  const Tensor a = at::randn({kSide, kSide}).to(compute), b = at::randn({kSide, kSide}).to(compute);
  const Tensor long_n = at::ones({kNumbers});
  Peaks out;
  out.gflops = 2e-9 * kSide * kSide * kSide / shortest([&] { ops::product_nt(a, b); });
  out.gbytes = 1e-9 * static_cast<double>(long_n.nbytes()) / shortest([&] { long_n.sum(); });
  return out;
}

uint64_t peak_memory() {
  return std::strtoull(proc_field("/proc/self/status", "VmHWM:").c_str(), nullptr, 10) * 1024;  // the kernel writes kB
}

}  // namespace ingrain::bench
