// What the benchmarks' figures rest on: the count of multiply-adds, the statistics, the comparison.
#include "base/error.h"
#include "bench/benchmarks.h"
#include "bench/ops/ops.h"
#include "bench/statistics.h"
#include "bench/work.h"
#include "scratch.h"
#include "tiny_model.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <random>
#include <set>

namespace ingrain::bench {
namespace {

// Tiny: D 16, 2 heads of 8, F 24, fast F 20, V 37, window 12, chunk 8, 3 blocks of which 2 are the suffix.
constexpr double kProjections = 16 * 48 + 16 * 16, kMlp = 3 * 16 * 24, kFast = 3 * 16 * 20, kHead = 37 * 16;

int64_t pairs_one_by_one(int64_t first, int64_t count, int64_t window) {
  int64_t out = 0;
  for (int64_t i = first; i < first + count; ++i) out += std::min(i + 1, window);
  return out;
}

TEST(Work, visible_pairs_equal_counting_them) {
  for (const int64_t window : {1, 5, 12, 100})
    for (const int64_t first : {0, 3, 12, 40})
      for (const int64_t count : {0, 1, 9, 30})
        EXPECT_EQ(visible_pairs(first, count, window), pairs_one_by_one(first, count, window));
}

TEST(Work, forward_is_the_sum_of_its_products) {
  const ModelConfig c = test::tiny_config({});
  const double attention = 2 * 16.0 * static_cast<double>(pairs_one_by_one(0, 20, 12));
  const Work w = forward_work(c, 0, 20);
  EXPECT_DOUBLE_EQ(w.prefix, 20 * (2 * kProjections + kMlp) + 2 * attention);
  EXPECT_DOUBLE_EQ(w.suffix, 20 * (kProjections + 2 * kMlp + 2 * kFast) + attention);
  EXPECT_DOUBLE_EQ(w.head, 20 * kHead);
}

TEST(Work, reading_adds_a_backward_pass_for_every_chunk_that_ends) {
  const ModelConfig c = test::tiny_config({});
  const auto more = [&](int64_t first, int64_t count) {
    return reading_work(c, first, count).total() - forward_work(c, first, count).total();
  };
  EXPECT_EQ(more(0, 7), 0);
  EXPECT_EQ(more(9, 6), 0);
  const double all = 16.0 * static_cast<double>(pairs_one_by_one(8, 8, 12)),
               fresh = 16.0 * static_cast<double>(pairs_one_by_one(0, 8, 12));
  const double fast = 4 * kFast - 2 * kFast / 3;  // all but the gradient of the first one's input
  EXPECT_DOUBLE_EQ(more(8, 8), 8 * (fast + 2 * kMlp + kProjections + kHead) + 3 * all + 2 * fresh);
  EXPECT_DOUBLE_EQ(more(0, 24), more(0, 8) + more(8, 8) + more(16, 8));
  EXPECT_DOUBLE_EQ(more(5, 19), more(0, 24)) << "a chunk read before counts when its last token comes";
}

TEST(Work, a_model_without_suffix_only_goes_forward) {
  const ModelConfig c = test::tiny_config({.suffix = 0});
  EXPECT_EQ(reading_work(c, 0, 50).total(), forward_work(c, 0, 50).total());
  EXPECT_EQ(forward_work(c, 0, 50).suffix, 0);
}

TEST(Work, of_reference_17m_a_meta_step_is_as_many_standard_steps_as_the_design_says) {
  const ModelConfig c = load_config(INGRAIN_SOURCE_FOLDER "/models/reader-17m/config.json");
  const double ratio = meta_step_work(c, 8192).total() / standard_step_work(c, 8192).total();
  EXPECT_GT(ratio, 1.6);
  EXPECT_LT(ratio, 2.0);
}

TEST(Work, decoding_reads_every_matrix_once_and_the_window) {
  const Network model = test::tiny_model({}, at::kFloat);
  const double weights = 3 * (kProjections + kMlp) + 2 * kFast + kHead, norms = 3 * (4 * 16 + 2 * 8) + 2 * 2 * 16 + 16;
  EXPECT_DOUBLE_EQ(decoding_bytes(model, 0), 4 * (weights + norms + 16));
  EXPECT_DOUBLE_EQ(decoding_bytes(model, 5) - decoding_bytes(model, 0), 4 * 5 * 2 * 16 * 3);
  EXPECT_DOUBLE_EQ(decoding_bytes(model, 11), decoding_bytes(model, 1000));
}

TEST(Statistics, medians_and_quantiles) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  std::vector<double> hundred;
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  EXPECT_EQ(quantile(hundred, 0.99), 99);
  EXPECT_EQ(quantile(hundred, 1), 100);
  EXPECT_EQ(quantile({7}, 0.5), 7);
}

/// Two things measured in turn, `b` taking `ratio` times as long as `a`: noise of 3% of their own and, from block to
/// block, a drift of 30% that both share; every fifteenth value takes thrice as long.
std::pair<Blocks, Blocks> noisy_pair(double ratio, size_t blocks, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::pair<Blocks, Blocks> out;
  for (size_t block = 0; block < blocks; ++block) {
    const double drift = std::exp(0.3 * normal(random));
    for (const auto& [to, typical] : {std::pair{&out.first, 1.0}, std::pair{&out.second, ratio}}) {
      to->emplace_back();
      for (int i = 0; i < 12; ++i)
        to->back().push_back(typical * drift * std::exp(0.03 * normal(random)) * (random() % 15 == 0 ? 3 : 1));
    }
  }
  return out;
}

TEST(Statistics, a_paired_ratio_is_the_middle_of_the_blocks_ratios) {
  const Blocks a{{1, 1, 9}, {2}, {4, 4}}, b{{2}, {5, 5, 5}, {12}};
  const Ratio ratio = paired_ratio(a, b);
  EXPECT_EQ(ratio.value, 2.5);
  EXPECT_EQ(ratio.low, 2);
  EXPECT_EQ(ratio.high, 3);
}

TEST(Statistics, an_interval_cuts_off_as_many_as_the_sign_test) {
  Blocks a, b;
  for (int i = 1; i <= 30; ++i) a.push_back({1}), b.push_back({double(i)});
  const Ratio ratio = paired_ratio(a, b);  // of 30 tosses, at most 9 are heads with 2.1%, at most 10 with 4.9%
  EXPECT_EQ(ratio.value, 15.5);
  EXPECT_EQ(ratio.low, 10);
  EXPECT_EQ(ratio.high, 21);
}

TEST(Statistics, a_paired_ratios_interval_holds_the_truth_and_is_narrow) {
  constexpr int kExperiments = 400;
  int held = 0;
  double width = 0;
  for (int i = 0; i < kExperiments; ++i) {
    const auto [a, b] = noisy_pair(1.05, 30, static_cast<uint64_t>(i));
    const Ratio ratio = paired_ratio(a, b);
    EXPECT_LE(ratio.low, ratio.value);
    EXPECT_LE(ratio.value, ratio.high);
    held += ratio.low <= 1.05 && 1.05 <= ratio.high;
    width += (ratio.high - ratio.low) / kExperiments;
  }
  EXPECT_GT(held, 0.92 * kExperiments);
  EXPECT_LT(held, kExperiments) << "an interval that never fails is too wide";
  EXPECT_LT(width, 0.02) << "a drift that both share must not widen it";
}

TEST(Statistics, many_blocks_do_not_overflow) {
  const auto [a, b] = noisy_pair(1, 5000, 1);
  const Ratio ratio = paired_ratio(a, b);
  EXPECT_LT(ratio.high - ratio.low, 0.003);
  EXPECT_NEAR(ratio.value, 1, 0.002);
}

class Comparison : public ScratchTest {};

TEST_F(Comparison, puts_an_earlier_result_beside_the_same_figure) {
  Report before, now;
  before.benchmark = now.benchmark = "read";
  before.add("reading: tokens", 100, "tokens/s");
  before.add("gone", 1, "ms");
  now.add("reading: tokens", 150, "tokens/s");
  now.add("new", 2, "ms");
  put(dir_ / "before.json", to_json(before).dump());
  compare(now, dir_ / "before.json");
  EXPECT_EQ(now.figures[0].was, 100);
  EXPECT_FALSE(now.figures[1].was.has_value());
  EXPECT_EQ(to_json(now)["figures"][0]["ratio"], 1.5);
  EXPECT_NE(to_text(now).find("was 100.0, now 1.500 of it"), std::string::npos);
  now.benchmark = "decode";
  EXPECT_THROW(compare(now, dir_ / "before.json"), Error);
  put(dir_ / "other.json", "[1]");
  EXPECT_THROW(compare(now, dir_ / "other.json"), Error);
}

TEST(Benchmarks, every_one_runs_and_gives_finite_figures) {
  Subject subject{test::tiny_model({}, at::kFloat), {1, 5, 9, 30, 2}};
  Report read, decode, train;
  bench_read(subject, {40, 2, true}, read);
  bench_decode(subject, {{0, 20}, 10, 2, true}, decode);
  bench_train(subject, {{"meta", "standard"}, 24, 2, 1, true}, train);
  for (const Report* report : {&read, &decode, &train}) {
    EXPECT_GE(report->figures.size(), 4u);
    for (const Figure& f : report->figures) EXPECT_TRUE(std::isfinite(f.value) && f.value > 0) << f.name;
  }
  EXPECT_THROW(bench_train(subject, {{"reverse"}, 24, 1, 1, true}, train), UsageError);
  EXPECT_GT(peak_memory(at::kCPU), 1'000'000u);
}

double figure(const Report& report, const std::string& name) {
  for (const Figure& f : report.figures)
    if (f.name == name) return f.value;
  return std::nan("");
}

TEST(Benchmarks, decoding_counts_inner_steps_and_compares_with_the_shortest_context) {
  Subject subject{test::tiny_model({}, at::kFloat), {1, 5, 9, 30, 2}};
  Report report;
  bench_decode(subject, {{20, 0, 20}, 40, 3, true}, report);
  // Forty tokens hold five chunks of eight, wherever they begin; in each of three runs.
  for (const char* const context : {"context 0: ", "context 20: "}) {
    EXPECT_EQ(figure(report, context + std::string("inner steps")), 15);
    EXPECT_GT(figure(report, context + std::string("inner step token: median")), 0);
    EXPECT_GE(figure(report, context + std::string("longest token")),
              figure(report, context + std::string("99th percentile")));
  }
  const double ratio = figure(report, "context 20: median token, of that at 0");
  EXPECT_LE(figure(report, "context 20: median token, of that at 0, from"), ratio);
  EXPECT_GE(figure(report, "context 20: median token, of that at 0, to"), ratio);
  EXPECT_TRUE(std::isnan(figure(report, "context 0: median token, of that at 0")));
  Report without;
  bench_decode(subject, {{0}, 40, 1, /*learn=*/false}, without);
  EXPECT_TRUE(std::isnan(figure(without, "context 0: inner steps")));
}

OpsOptions ops_options(const std::string& filter) { return {.filter = filter, .seconds = 0}; }

TEST(Operations, every_row_has_a_name_of_its_own_and_work_to_count) {
  OpsOptions o = ops_options("");
  const size_t on_cpu = ops_rows(o).size();
  o.all_shapes = true;
  const auto rows = ops_rows(o);
  EXPECT_GT(rows.size(), on_cpu + 50);
  std::set<std::string> names;
  for (const OpsRow& row : rows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_GT(row.work.flops + row.work.bytes, 0) << row.name;
  }
}

void run_all(const std::vector<OpsRow>& rows) {
  const at::NoGradGuard no_grad;
  for (const OpsRow& row : rows) {
    const Contenders contenders = row.make({row.inputs.type, at::kCPU});
    EXPECT_TRUE(contenders.ours) << row.name;
    for (const auto* run : {&contenders.ours, &contenders.reference, &contenders.libtorch}) {
      if (!*run) continue;
      EXPECT_NO_THROW((*run)()) << row.name;
    }
  }
}

TEST(Operations, every_row_of_the_small_model_runs) { run_all(ops_rows(ops_options("/17m/"))); }

TEST(Operations, are_reported_beside_reference_libtorch_and_peaks) {
  Report report{"ops", "", "every operation", {}, {}, {}};
  OpsOptions o = ops_options("^swiglu/17m/fp32/forward/256");
  o.types = {at::kFloat};
  const auto results = bench_ops(o, report);
  ASSERT_EQ(results.size(), 1u);
  const std::string& name = results[0].name;
  EXPECT_NEAR(figure(report, name), 1e6 * results[0].ours, 1e-9);
  EXPECT_NEAR(figure(report, name + " GB/s"), 1e-9 * 3 * 4 * 256 * 832 / results[0].ours, 1e-9);
  EXPECT_NEAR(figure(report, name + " of peak"), figure(report, name + " GB/s") / report.peaks.gbytes, 1e-9);
  EXPECT_GT(figure(report, name + " reference"), 0);
  EXPECT_GT(figure(report, name + " libtorch"), 0);
  report.figures[0].was = 2 * report.figures[0].value;
  EXPECT_NE(ops_text(results, report).find(" 0.500\n"), std::string::npos);
}

TEST(Operations, refuse_filters_that_are_wrong) {
  EXPECT_THROW(ops_rows(ops_options("(")), UsageError);
  EXPECT_THROW(ops_rows(ops_options("no such row")), UsageError);
  EXPECT_THROW(ops_rows(ops_options(std::string(201, 'a'))), UsageError);
}

}  // namespace
}  // namespace ingrain::bench
