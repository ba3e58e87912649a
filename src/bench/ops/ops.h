// `ingrain bench ops`: every operation by itself, beside its reference formulas, libtorch and the machine's peaks.
#pragma once

#include "bench/ops/row.h"
#include "bench/report.h"

#include <optional>

namespace ingrain::bench {

struct OpsOptions {
  std::string filter;  // a regular expression (ECMAScript), found somewhere in a row's name; empty: every row
  std::vector<at::ScalarType> types = {at::kFloat, at::kBFloat16};
  at::Device device = at::kCPU;
  double seconds = 0.2;     // for each of a row's contenders
  bool all_shapes = false;  // also those that say little about this device: large ones on a CPU, small ones on a GPU
};

/// The table's rows. OptionError if the filter is no regular expression, longer than 200 characters, or leaves none.
std::vector<OpsRow> ops_rows(const OpsOptions& options);

/// One row's median times, in seconds, and what ours reaches.
struct OpsResult {
  std::string name;
  double ours = 0;
  std::optional<double> reference, libtorch;
  std::optional<double> gflops, gbytes;  // GFLOP/s, GB/s; where the row counts them
  double share = 0;                      // the larger of their shares of the peaks
  bool of_memory = false;                // whether that is the share of memory's
};

/// Measures the rows one after another, with a progress line; then the peaks. Adds to the report per row NAME (us) and,
/// where they are, "NAME GFLOP/s", "NAME GB/s", "NAME of peak", "NAME reference", "NAME libtorch".
/// An interrupt (base/interrupt.h) ends it early, with the rows measured so far: one at least.
std::vector<OpsResult> bench_ops(const OpsOptions& options, Report& report);

/// For people: the heading, then one line a row; with an earlier report also its time and the ratio to it.
std::string ops_text(const std::vector<OpsResult>& results, const Report& report);

}  // namespace ingrain::bench
