// How many threads launch a capture (ops/graph/team_size.h), on machines whose times are made up.
#include "ops/graph/team_size.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <vector>

namespace ingrain::ops::cpu {
namespace {

struct LaunchTimes {
  double took, waited;  // milliseconds
};

/// Launches for so many seconds, and counts them by their number of threads.
class MadeUpMachine {
 public:
  explicit MadeUpMachine(int64_t cores) : cores_(cores) {}

  std::vector<int64_t> launch(double seconds, const std::function<LaunchTimes(int64_t threads)>& machine) {
    std::vector<int64_t> counts(static_cast<size_t>(cores_) + 1);
    const auto in_ms = [](double ms) {
      return std::chrono::duration_cast<TeamSize::Clock::duration>(std::chrono::duration<double, std::milli>(ms));
    };
    const auto end = now_ + in_ms(1000 * seconds);
    while (now_ < end) {
      const int64_t threads = team_.threads(cores_);
      ++counts.at(static_cast<size_t>(threads));
      const LaunchTimes times = machine(threads);
      now_ += in_ms(times.took);
      team_.add(now_, in_ms(times.took), in_ms(times.waited));
    }
    return counts;
  }

 private:
  const int64_t cores_;
  TeamSize team_;
  TeamSize::Clock::time_point now_{};
};

LaunchTimes idle(int64_t threads) { return threads == 2 ? LaunchTimes{1.2, 0.1} : LaunchTimes{2, 0}; }
LaunchTimes one_core_is_busy(int64_t threads) { return threads == 2 ? LaunchTimes{6, 4} : LaunchTimes{2, 0}; }

TEST(TeamSize, is_all_threads_while_each_has_a_core) {
  const auto counts = MadeUpMachine(2).launch(10, idle);
  EXPECT_EQ(counts[1], 0);
  EXPECT_GT(counts[2], 8000);
}

TEST(TeamSize, is_smaller_while_a_core_is_busy_and_whole_again_afterwards) {
  MadeUpMachine machine(2);
  machine.launch(1, idle);
  const auto busy = machine.launch(10, one_core_is_busy);
  EXPECT_LT(busy[2], busy[1] / 20);
  machine.launch(4, idle);
  const auto free = machine.launch(1, idle);
  EXPECT_EQ(free[1], 0);
}

TEST(TeamSize, is_smaller_where_the_core_was_busy_from_the_beginning) {
  const auto counts = MadeUpMachine(2).launch(10, one_core_is_busy);
  EXPECT_LT(counts[2], counts[1] / 20);
}

TEST(TeamSize, stays_where_threads_wait_for_work_that_one_alone_can_do) {
  const auto counts = MadeUpMachine(2).launch(
      20, [](int64_t threads) { return threads == 2 ? LaunchTimes{3, 1.2} : LaunchTimes{4, 0}; });
  EXPECT_LT(counts[1], counts[2] / 20);
  EXPECT_GT(counts[1], 0);
}

TEST(TeamSize, finds_the_free_cores_of_many) {
  MadeUpMachine machine(16);
  const auto machine_with = [](int64_t free) {
    return [free](int64_t threads) {
      const double took = 16.0 / static_cast<double>(threads);
      return threads > free ? LaunchTimes{3 * took + 2, 2 * took} : LaunchTimes{took, 0.05};
    };
  };
  machine.launch(5, machine_with(5));
  const auto few = machine.launch(5, machine_with(5));
  EXPECT_GT(few[4] + few[5], 9 * (few[8] + few[10] + few[11] + few[16]));
  machine.launch(20, machine_with(16));
  const auto all = machine.launch(1, machine_with(16));
  EXPECT_EQ(all[16], std::accumulate(all.begin(), all.end(), int64_t{0}));
}

}  // namespace
}  // namespace ingrain::ops::cpu
