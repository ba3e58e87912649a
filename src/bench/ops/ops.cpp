#include "bench/ops/ops.h"

#include "base/progress.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "model/network.h"

#include <algorithm>
#include <map>

namespace ingrain::bench {
namespace {

constexpr double kLeastSeconds =
    1e-3;  // of what is timed at once: on a GPU the calls queue up, and the wait at the end is shared
constexpr int64_t kMostCalls = 1000;
constexpr size_t kLeastTimes = 3, kMostTimes = 10000;

/// The median time of a call, measured over `seconds` or three times, whichever is longer.
double median_time(const Run& run, double seconds, at::Device device) {
  go_on();
  run();  // kernels are chosen, memory comes to hand
  const Stopwatch one(device);
  run();
  const auto calls =
      static_cast<int64_t>(std::clamp(kLeastSeconds / std::max(one.seconds(), 1e-9), 1.0, double{kMostCalls}));
  std::vector<double> times;
  const Stopwatch all(device);
  while (times.size() < kLeastTimes || (times.size() < kMostTimes && all.seconds() < seconds)) {
    const Stopwatch watch(device);
    for (int64_t i = 0; i < calls; ++i) run();
    go_on();
    times.push_back(watch.seconds() / static_cast<double>(calls));
  }
  return median(times);
}

OpsResult measure(const OpsRow& row, const OpsOptions& o) {
  const Contenders contenders = row.make(row.inputs);
  const auto time = [&](const Run& run) {
    return run ? std::optional(median_time(run, o.seconds, o.device)) : std::nullopt;
  };
  OpsResult out{row.name, *time(contenders.ours), time(contenders.reference), time(contenders.libtorch), {}, {}};
  if (row.work.flops > 0) out.gflops = 1e-9 * row.work.flops / out.ours;
  if (row.work.bytes > 0) out.gbytes = 1e-9 * row.work.bytes / out.ours;
  return out;
}

void set_share(OpsResult& result, const Peaks& peaks, at::ScalarType type) {
  const double products = peaks.share_of_products(result.gflops.value_or(0), type);
  const double memory = peaks.share_of_memory(result.gbytes.value_or(0));
  result.of_memory = memory > products;
  result.share = std::max(products, memory);
}

void add_figures(const OpsResult& r, Report& report) {
  report.add(r.name, 1e6 * r.ours, "us");
  const auto add = [&](const char* what, const std::optional<double>& value, double factor, const char* unit) {
    if (value) report.add(r.name + what, factor * *value, unit);
  };
  add(" GFLOP/s", r.gflops, 1, "GFLOP/s");
  add(" GB/s", r.gbytes, 1, "GB/s");
  add(" of peak", r.share, 1, "ratio");
  add(" reference", r.reference, 1e6, "us");
  add(" libtorch", r.libtorch, 1e6, "us");
}

/// Three digits that matter; nothing where there is no value.
std::string number(const std::optional<double>& value) {
  if (!value) return "";
  return fmt::format("{:.{}f}", *value, *value < 10 ? 2 : *value < 100 ? 1 : 0);
}

}  // namespace

std::vector<OpsResult> bench_ops(const OpsOptions& o, Report& report) {
  const at::NoGradGuard no_grad;
  const std::vector<OpsRow> rows = ops_rows(o);
  std::vector<OpsResult> out;
  {
    Progress progress("measuring", rows.size(), "rows");
    whole_runs(static_cast<int64_t>(rows.size()), [&](int64_t i) {
      const OpsRow& row = rows[static_cast<size_t>(i)];
      progress.update(out.size(), row.name.substr(0, row.name.find('/')));
      out.push_back(measure(row, o));
    });
  }
  if (out.size() < rows.size())
    report.type = fmt::format("the first {} of {} rows: interrupted", out.size(), rows.size());
  measure_machine(report, o.types, o.device);
  for (size_t i = 0; i < out.size(); ++i) {
    set_share(out[i], report.peaks, rows[i].inputs.type);
    add_figures(out[i], report);
  }
  return out;
}

std::string ops_text(const std::vector<OpsResult>& results, const Report& report) {
  std::map<std::string, double> was;
  for (const Figure& f : report.figures)
    if (f.was) was[f.name] = *f.was;
  std::string out = heading(report) +
                    "us: microseconds, medians; in brackets how many times ours. of peak: m of memory, p of products\n";
  const std::string line = "{:<58} {:>9} {:>9} {:>8} {:>8} {:>18} {:>18}";
  out +=
      fmt::format(fmt::runtime(line), "operation", "us", "GFLOP/s", "GB/s", "of peak", "reference us", "libtorch us");
  out += was.empty() ? "\n" : fmt::format(" {:>9} {:>8}\n", "was us", "now/was");
  for (const OpsResult& r : results) {
    const auto other = [&](const std::optional<double>& seconds) {
      return seconds ? fmt::format("{} ({:.2f})", number(1e6 * *seconds), *seconds / r.ours) : "";
    };
    out +=
        fmt::format(fmt::runtime(line), r.name, number(1e6 * r.ours), number(r.gflops), number(r.gbytes),
                    fmt::format("{:.2f} {}", r.share, r.of_memory ? 'm' : 'p'), other(r.reference), other(r.libtorch));
    if (const auto before = was.find(r.name); before != was.end())
      out += fmt::format(" {:>9} {:>8.3f}", number(before->second), 1e6 * r.ours / before->second);
    out += "\n";
  }
  return out;
}

}  // namespace ingrain::bench
