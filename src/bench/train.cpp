#include "base/option_error.h"
#include "bench/benchmarks.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/work.h"
#include "ttt/outer_gradient.h"

namespace ingrain::bench {
namespace {

struct Mode {
  std::string name;
  decltype(&ttt::meta_gradient) gradient;
  Work (*work)(const ModelConfig&, int64_t);
  std::vector<double> seconds = {};
};

Mode mode(const std::string& name) {
  if (name == "meta") return {name, ttt::meta_gradient, meta_step_work};
  if (name == "standard") return {name, ttt::standard_gradient, standard_step_work};
  fail_option("mode", "'{}' is not known; choose meta, standard or both as meta,standard", name);
}

}  // namespace

void bench_train(const Subject& subject, const TrainOptions& o, Report& report) {
  const ModelConfig& c = subject.model.config;
  std::vector<Mode> modes;
  for (const std::string& name : o.modes) modes.push_back(mode(name));
  const GradientSums gradients(c, subject.model.weights, [](const std::string&) { return true; });
  std::vector<Tensor> rows;
  for (int64_t b = 0; b < o.batch; ++b) rows.push_back(subject.slice(b * o.length, o.length + 1));
  const Tensor tokens_BT1 = at::cat(rows);
  ttt::GradientOptions options;
  options.recompute = o.recompute ? ttt::Recompute::always : ttt::Recompute::never;
  options.pause = go_on;
  const char* const peak = subject.device().is_cpu() ? ": peak memory so far" : ": peak memory";
  const auto seconds_of = [&](const Mode& m) {
    const Stopwatch watch(subject.device());
    m.gradient(c, gradients, tokens_BT1, options);
    return watch.seconds();
  };
  for (const Mode& m : modes) {  // a warm-up
    forget_peak_memory(subject.device());
    seconds_of(m);
    report.add(m.name + peak, 1e-6 * static_cast<double>(peak_memory(subject.device())), "MB");
  }
  whole_runs(o.runs, [&](int64_t) {
    std::vector<double> of_run;
    for (const Mode& m : modes) of_run.push_back(seconds_of(m));
    for (size_t i = 0; i < modes.size(); ++i) modes[i].seconds.push_back(of_run[i]);
  });
  const double tokens = static_cast<double>(o.batch * o.length);
  for (const Mode& m : modes) {
    const double work = static_cast<double>(o.batch) * m.work(c, o.length).total();
    report.add(m.name + ": tokens", tokens / median(m.seconds), "tokens/s");
    report.add(m.name + ": work a token", 1e-6 * work / tokens, "M multiply-adds");
    report.add(m.name + ": GFLOP/s", 2e-9 * work / median(m.seconds), "GFLOP/s");
  }
  const auto find = [&](const char* name) -> const Mode* {
    for (const Mode& m : modes)
      if (m.name == name) return &m;
    return nullptr;
  };
  const Mode *const meta = find("meta"), *const standard = find("standard");
  if (!meta || !standard) return;
  report.add("meta / standard: time", median(meta->seconds) / median(standard->seconds), "ratio");
  report.add("meta / standard: work", meta_step_work(c, o.length).total() / standard_step_work(c, o.length).total(),
             "ratio");
}

}  // namespace ingrain::bench
