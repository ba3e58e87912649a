// What a figure was measured on, and how fast that machine is at best, measured then and there.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

namespace ingrain::bench {

struct Machine {
  std::string processor;   // as the kernel names it
  std::string vectors;     // "AVX-512 bf16", "AVX-512", "AVX2" or "other"
  int64_t cores = 0;       // that this process may use
  int64_t threads = 0;     // that libtorch uses
  double load = 0;         // runnable processes on average over the last minute: above `threads`, figures mean little
  std::string libtorch, commit;  // the commit that the program was built from; "+" behind it: with changes
};
Machine describe_machine();

struct Peaks {
  double gflops = 0;  // products of 2048 x 2048 matrices in the compute type, GFLOP/s (a multiply-add counts as two)
  double gbytes = 0;  // reading memory, GB/s
};
/// Takes about a second. The best of what was seen, not the median: it is a bound.
Peaks measure_peaks(at::ScalarType compute);

/// The most memory that this process has held so far, in bytes (VmHWM); 0 where the system does not tell.
uint64_t peak_memory();

}  // namespace ingrain::bench
