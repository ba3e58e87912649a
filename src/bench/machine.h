// What a figure was measured on, and how fast that machine is at best, measured then and there.
#pragma once

#include "ops/aten.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ingrain::bench {

struct Machine {
  std::string device;     // "cpu", "cuda:0"
  std::string gpu;        // as its driver names it; empty where the device is the processor
  std::string processor;  // as the kernel names it
  std::string vectors;    // "AVX-512 bf16", "AVX-512", "AVX2" or "other"
  int64_t cores = 0;      // that this process may use
  int64_t threads = 0;    // that libtorch uses
  double load = 0;        // runnable processes on average over the last minute: above `threads`, figures mean little
  std::string libtorch, commit;  // the commit that the program was built from; "+" behind it: with changes
};
Machine describe_machine(at::Device device);

struct Peaks {
  // By compute_type_name() (model/network.h): products of square matrices, GFLOP/s (a multiply-add counts as two).
  std::map<std::string, double> gflops;
  double gbytes = 0;  // reading the device's memory, GB/s

  /// What shares of them a rate reaches. REQUIRES: the type's was measured.
  double share_of_products(double gflops_reached, at::ScalarType type) const;
  double share_of_memory(double gbytes_reached) const { return gbytes_reached / gbytes; }
};
/// Takes half a second for each type and for memory. The best of what was seen, not the median: it is a bound.
Peaks measure_peaks(const std::vector<at::ScalarType>& types, at::Device device);

/// The most memory held, in bytes. On a GPU by tensors, since forget_peak_memory(); on the CPU by this process, ever
/// (VmHWM; 0 where the system does not tell).
uint64_t peak_memory(at::Device device);
void forget_peak_memory(at::Device device);

}  // namespace ingrain::bench
