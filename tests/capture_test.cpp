// Work that repeats on the CPU (ops/graph/graph.h): what is captured is launched by any team of threads, and nothing
// that the work did is missing.
#include "ops/graph/parallel.h"
#include "ops/graph/captured.h"
#include "ops/graph/graph.h"
#include "threads.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ingrain::ops {
namespace {

using test::Threads;

/// y[i] = x[n - 1 - i] + 1: every element comes from what another thread wrote.
Tensor turned(const Tensor& x) {
  const Tensor y = at::empty_like(x);
  const int64_t n = x.numel();
  cpu::parallel({x, y}, n, 1,
                [from = x.const_data_ptr<float>(), to = y.data_ptr<float>(), n](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) to[i] = from[n - 1 - i] + 1;
                });
  return y;
}

/// x, times two, by one thread.
Tensor doubled(const Tensor& x) {
  const Tensor y = at::empty_like(x);
  cpu::parallel({x, y}, 1, 1,
                [from = x.const_data_ptr<float>(), to = y.data_ptr<float>(), n = x.numel()](int64_t, int64_t) {
                  for (int64_t i = 0; i < n; ++i) to[i] = 2 * from[i];
                });
  return y;
}

/// A chain of kernels, shared out and alone in turn, from `in` to `out`; counts how often it is called.
struct Chain {
  Tensor in = at::zeros({37}), out = at::zeros({37});
  int calls = 0;

  void operator()() {
    ++calls;
    Tensor x = in;
    for (int i = 0; i < 20; ++i) {
      x = turned(x);
      if (i % 3 == 0) x = doubled(doubled(x));
    }
    x = captured([x] { return x * 0.5; });
    captured([x, place = out] { place.copy_(x); });
  }
};

TEST(Capture, is_launched_by_any_number_of_threads) {
  Chain chain, expected;
  Graph graph(at::kCPU);
  for (const int threads : {2, 1, 3, 8, 2}) {
    const Threads guard(threads);
    for (int run = 0; run < 50; ++run) {
      for (Chain* c : {&chain, &expected}) c->in.copy_(at::arange(37) * (run + 1));
      graph.run([&] { chain(); });
      expected();
      ASSERT_TRUE(chain.out.equal(expected.out)) << threads << " threads, run " << run;
    }
  }
  EXPECT_EQ(chain.calls, 1) << "launched, not called again";
  EXPECT_TRUE(graph.captured());
  EXPECT_EQ(graph.refusal(), "");
  graph.forget();
  graph.run([&] { chain(); });
  EXPECT_EQ(chain.calls, 2);
}

TEST(Capture, is_launched_within_a_parallel_region) {
  const Threads guard(2);
  Chain chain, expected;
  chain.in.fill_(3);
  expected.in.fill_(3);
  Graph graph(at::kCPU);
  graph.run([&] { chain(); });
  chain.out.zero_();
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t) {
    if (begin == 0) graph.run([&] { chain(); });
  });
  expected();
  EXPECT_TRUE(chain.out.equal(expected.out));
}

TEST(Capture, keeps_what_its_kernels_point_at) {
  Tensor out;
  const Tensor in = at::ones({64});
  Graph graph(at::kCPU);
  const auto work = [&] {
    const Tensor y = turned(turned(in));
    if (!out.defined()) out = y;
  };
  graph.run(work);
  const Tensor elsewhere = at::full({64}, -1.0);  // would take the place of what was freed
  in.fill_(5);
  graph.run(work);
  EXPECT_TRUE(out.equal(at::full({64}, 7.0)));
  EXPECT_TRUE(elsewhere.equal(at::full({64}, -1.0)));
}

TEST(Capture, is_refused_where_libtorch_computes_in_between) {
  const Tensor in = at::ones({8}), out = at::zeros({8});
  int calls = 0;
  Graph graph(at::kCPU);
  for (int run = 1; run <= 4; ++run) {
    in.fill_(run);
    graph.run([&] {
      ++calls;
      const Tensor x = turned(in) + 1;  // not in captured()
      captured([x, out] { out.copy_(x); });
    });
    EXPECT_EQ(calls, run) << "done anew";
    EXPECT_TRUE(out.equal(at::full({8}, run + 2.0)));
  }
  EXPECT_FALSE(graph.captured());
  EXPECT_EQ(graph.refusal(), "aten::add cannot be part of a graph");
  graph.forget();
  EXPECT_EQ(graph.refusal(), "") << "nothing is known of the next work";
}

TEST(Capture, is_refused_where_a_view_turns_out_to_be_a_copy) {
  const Tensor in = at::zeros({8, 2}), out = at::zeros({8});
  const std::function<Tensor()> copies[] = {[&] { return in.select(1, 1).contiguous(); },
                                            [&] { return in.t().reshape({16}).narrow(0, 8, 8); },
                                            [&] { return in.select(1, 1).to(at::kDouble).to(at::kFloat); }};
  for (const auto& copied : copies) {
    Graph graph(at::kCPU);
    for (int run = 1; run <= 3; ++run) {
      in.fill_(run);
      graph.run([&] {
        const Tensor x = turned(copied());
        captured([x, out] { out.copy_(x); });
      });
      EXPECT_TRUE(out.equal(at::full({8}, run + 1.0)));
    }
  }
}

TEST(Capture, is_refused_where_a_kernel_is_not_captured_or_work_repeats_within) {
  const Tensor in = at::ones({8});
  Graph inner(at::kCPU);
  const std::function<void()> works[] = {
      [] { cpu::parallel_uncaptured(8, 1, [](int64_t, int64_t) {}); },
      [] { cpu::for_each_task(8, 0, [](int64_t, float*) {}); },
      [] { cpu::sum_over_slices(8, 1, [](int64_t, int64_t, float*) {}); },
      [&] { inner.run([&] { turned(in); }); },
  };
  for (const auto& work : works) {
    int calls = 0;
    Graph graph(at::kCPU);
    for (int run = 0; run < 3; ++run) graph.run([&] { ++calls, work(); });
    EXPECT_EQ(calls, 3);
    EXPECT_FALSE(graph.captured());
    EXPECT_NE(graph.refusal(), "");
  }
}

TEST(Capture, of_a_first_run_that_fails_is_forgotten) {
  const Tensor count = at::zeros({1});
  bool fails = true;
  Graph graph(at::kCPU);
  const auto work = [&] {
    captured([count] { count.add_(1); });
    if (fails) throw std::runtime_error("no");
  };
  EXPECT_THROW(graph.run(work), std::runtime_error);
  fails = false;
  for (int run = 2; run <= 4; ++run) {
    graph.run(work);
    EXPECT_EQ(count.item<float>(), run);
  }
}

TEST(Capture, is_not_refused_for_views) {
  const Tensor in = at::ones({2, 8}), out = at::zeros({8});
  int calls = 0;
  Graph graph(at::kCPU);
  for (int run = 1; run <= 3; ++run) {
    in.fill_(run);
    graph.run([&] {
      ++calls;
      const Tensor x = turned(in.select(0, 1).unsqueeze(0).reshape({8}).contiguous().to(at::kFloat));
      captured([x, out] { out.copy_(x); });
    });
    EXPECT_TRUE(out.equal(at::full({8}, run + 1.0)));
  }
  EXPECT_EQ(calls, 1);
}

TEST(Capture, a_kernel_that_throws_ends_the_run_and_not_the_team) {
  for (const int threads : {1, 2, 4}) {
    const Threads guard(threads);
    const Tensor fails = at::zeros({1}), x = at::zeros({16});
    Graph graph(at::kCPU);
    const auto work = [&] {
      cpu::parallel({fails}, 16, 1, [flag = fails.const_data_ptr<float>()](int64_t begin, int64_t) {
        if (*flag != 0 && begin == 0) throw std::runtime_error("no");
      });
      turned(x);
    };
    graph.run(work);
    fails.fill_(1);
    EXPECT_THROW(graph.run(work), std::runtime_error);
    fails.fill_(0);
    EXPECT_NO_THROW(graph.run(work));
  }
}

}  // namespace
}  // namespace ingrain::ops
