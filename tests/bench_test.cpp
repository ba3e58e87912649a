// What the benchmarks' figures rest on: the count of multiply-adds, the statistics, the comparison.
#include "base/error.h"
#include "bench/benchmarks.h"
#include "bench/work.h"
#include "scratch.h"
#include "tiny_model.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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
      for (const int64_t count : {0, 1, 9, 30}) EXPECT_EQ(visible_pairs(first, count, window), pairs_one_by_one(first, count, window));
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
  const auto more = [&](int64_t first, int64_t count) { return reading_work(c, first, count).total() - forward_work(c, first, count).total(); };
  EXPECT_EQ(more(0, 7), 0);
  EXPECT_EQ(more(9, 6), 0);
  const double all = 16.0 * static_cast<double>(pairs_one_by_one(8, 8, 12)), fresh = 16.0 * static_cast<double>(pairs_one_by_one(0, 8, 12));
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

TEST(Report, medians_and_quantiles) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  std::vector<double> hundred;
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  EXPECT_EQ(quantile(hundred, 0.99), 99);
  EXPECT_EQ(quantile(hundred, 1), 100);
  EXPECT_EQ(quantile({7}, 0.5), 7);
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
  EXPECT_GT(peak_memory(), 1'000'000u);
}

}  // namespace
}  // namespace ingrain::bench
