// The module for NCCL, and who uses it, over acted-out GPUs (acted.h).
#include "acted.h"
#include "base/error.h"
#include "distributed/gpus.h"
#include "distributed/nccl_calls.h"

#include <gmock/gmock.h>

#include <barrier>
#include <numeric>
#include <thread>

extern "C" const IngrainNcclCalls* ingrain_nccl();

namespace ingrain::distributed {
namespace {

namespace acted = test::acted;
using ::testing::HasSubstr;

/// Ranks that are threads of this process, for what MPI does.
class Threads final : public Communicator {
 public:
  struct Meeting {
    explicit Meeting(int ranks) : barrier(ranks), data_R(static_cast<size_t>(ranks)) {}
    std::barrier<> barrier;
    std::vector<std::byte*> data_R;
  };
  Threads(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int ranks() const override { return static_cast<int>(meeting_.data_R.size()); }

 private:
  void do_gather(std::byte* data, Parts parts_R) override {
    meeting_.data_R[static_cast<size_t>(rank_)] = data;
    meeting_.barrier.arrive_and_wait();
    for (size_t r = 0; r < parts_R.size(); ++r)
      if (r != static_cast<size_t>(rank_))
        std::copy_n(meeting_.data_R[r] + parts_R[r].begin, parts_R[r].size, data + parts_R[r].begin);
    meeting_.barrier.arrive_and_wait();
  }
  uint64_t do_begin_exchange(const std::byte*, Parts, std::byte*, Parts) override { return 0; }
  bool do_end_exchange(uint64_t, bool) override { return true; }

  Meeting& meeting_;
  int rank_;
};

/// N ranks with a GPU each, and a stream on which they compute.
struct Gpus {
  explicit Gpus(int N, unsigned seed = 1) : meeting(N) {
    acted::reset(seed);
    for (int r = 0; r < N; ++r) {
      cudaSetDevice(r);
      streams.push_back(acted::new_stream());
      hosts.push_back(std::make_unique<Threads>(meeting, r));
    }
    cudaSetDevice(0);
    ranks.resize(static_cast<size_t>(N));
    errors.resize(static_cast<size_t>(N));
    std::vector<std::thread> threads;
    for (size_t r = 0; r < ranks.size(); ++r)
      threads.emplace_back([this, r] {
        try {
          ranks[r] = join_gpus(*hosts[r], *ingrain_nccl(), static_cast<int>(r), [this, r] { return streams[r]; });
        } catch (const Error& e) {
          errors[r] = e.what();
        }
      });
    for (std::thread& thread : threads) thread.join();
  }

  Threads::Meeting meeting;
  std::vector<cudaStream_t> streams;
  std::vector<std::unique_ptr<Threads>> hosts;
  std::vector<std::unique_ptr<Communicator>> ranks;
  std::vector<std::string> errors;
};

using Numbers = std::vector<int32_t>;
std::byte* bytes(Numbers& x) { return reinterpret_cast<std::byte*>(x.data()); }
Part part(size_t begin, size_t count) { return {4 * begin, 4 * count}; }

/// What rank `from` has for rank `to`, in the exchange of this number.
int32_t number_of(size_t exchange, size_t from, size_t to, size_t i) {
  return static_cast<int32_t>(1000000 * exchange + 10000 * from + 100 * to + i);
}

TEST(NcclOnCpu, exchanges_come_after_what_was_computed_before_and_before_what_is_computed_later) {
  constexpr size_t kExchanges = 5;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const size_t N = 1 + seed % 4;
    Gpus gpus(static_cast<int>(N), seed);
    // As many numbers for rank `to` as its number, and one: rank sizes differ, and with `to` odd none in exchange 2.
    const auto count = [](size_t x, size_t to) { return x == 2 && to % 2 == 1 ? 0 : to + 1; };
    std::vector<std::vector<Numbers>> out(N, std::vector<Numbers>(kExchanges)), in = out;
    std::vector<Numbers> sums(N);
    for (size_t r = 0; r < N; ++r) {
      std::vector<uint64_t> begun;
      for (size_t x = 0; x < kExchanges; ++x) {
        std::vector<Part> out_R, in_R;
        size_t all = 0;
        for (size_t to = 0; to < N; all += count(x, to), ++to) out_R.push_back(part(all, count(x, to)));
        for (size_t from = 0; from < N; ++from) in_R.push_back(part(from * count(x, r), count(x, r)));
        out[r][x].assign(all + 1, -1);
        in[r][x].assign(N * count(x, r) + 1, -1);
        acted::launch(gpus.streams[r], [&out, count, r, x, N] {
          size_t at = 0;
          for (size_t to = 0; to < N; ++to)
            for (size_t i = 0; i < count(x, to); ++i) out[r][x][at++] = number_of(x, r, to, i);
        });
        begun.push_back(gpus.ranks[r]->begin_exchange(bytes(out[r][x]), out_R, bytes(in[r][x]), in_R));
      }
      for (size_t x = 0; x < kExchanges; ++x) {
        gpus.ranks[r]->wait(begun[x]);
        acted::launch(gpus.streams[r], [&, r, x] {
          sums[r].insert(sums[r].end(), in[r][x].begin(), in[r][x].end() - 1);
          out[r][x].assign(out[r][x].size(), -2);  // its memory is the caller's again
        });
      }
    }
    acted::run_all();
    EXPECT_FALSE(acted::unfinished());
    for (size_t r = 0; r < N; ++r) {
      Numbers expected;
      for (size_t x = 0; x < kExchanges; ++x)
        for (size_t from = 0; from < N; ++from)
          for (size_t i = 0; i < count(x, r); ++i) expected.push_back(number_of(x, from, r, i));
      EXPECT_EQ(sums[r], expected) << "rank " << r << " of " << N << ", seed " << seed;
    }
    for (auto& rank : gpus.ranks) rank->finish();
    gpus.ranks.clear();
    EXPECT_EQ(acted::left(), 0);
  }
}

TEST(NcclOnCpu, parts_are_gathered_in_place_between_what_is_computed) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const size_t N = 1 + seed % 4;
    Gpus gpus(static_cast<int>(N), seed);
    std::vector<Numbers> data(N, Numbers(3 * N, -1)), seen(N);
    std::vector<Part> parts_R;
    for (size_t r = 0; r < N; ++r) parts_R.push_back(part(3 * r, r == 1 ? 0 : 3));
    for (size_t r = 0; r < N; ++r) {
      acted::launch(gpus.streams[r], [&, r] {
        for (size_t i = 0; i < 3; ++i) data[r][3 * r + i] = static_cast<int32_t>(10 * r + i);
      });
      gpus.ranks[r]->gather(bytes(data[r]), parts_R);
      acted::launch(gpus.streams[r], [&, r] { seen[r] = data[r]; });
    }
    acted::run_all();
    for (size_t r = 0; r < N; ++r)
      for (size_t from = 0; from < N; ++from)
        for (size_t i = 0; i < 3; ++i)
          EXPECT_EQ(seen[r].at(3 * from + i), from == 1 && r != 1 ? -1 : static_cast<int32_t>(10 * from + i));
  }
}

TEST(NcclOnCpu, who_asks_is_told_that_an_exchange_goes_on) {
  Gpus gpus(2);
  Numbers out[2] = {{1, 2}, {3, 4}}, in[2] = {{0, 0}, {0, 0}};
  const std::vector<Part> parts_R{part(0, 1), part(1, 1)};
  const uint64_t first = gpus.ranks[0]->begin_exchange(bytes(out[0]), parts_R, bytes(in[0]), parts_R);
  acted::run_all();
  EXPECT_FALSE(gpus.ranks[0]->done(first)) << "the other rank has not begun";
  const uint64_t other = gpus.ranks[1]->begin_exchange(bytes(out[1]), parts_R, bytes(in[1]), parts_R);
  acted::run_all();
  EXPECT_TRUE(gpus.ranks[0]->done(first));
  EXPECT_TRUE(gpus.ranks[1]->done(other));
  EXPECT_EQ(in[0], (Numbers{1, 3}));
  EXPECT_EQ(in[1], (Numbers{2, 4}));
  EXPECT_EQ(gpus.ranks[0]->traffic().bytes_sent, 4u);
}

template <class Work>
std::string error_of_work(const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(NcclOnCpu, an_error_says_what_failed_and_what_to_do) {
  const std::vector<Part> parts_R{part(0, 1), part(1, 1)};
  Numbers out{1, 2}, in{0, 0};
  for (const char* call : {"ncclSend", "ncclRecv", "cudaEventRecord"}) {
    Gpus gpus(2);
    acted::fail(call);
    EXPECT_THAT(error_of_work([&] { gpus.ranks[1]->begin_exchange(bytes(out), parts_R, bytes(in), parts_R); }),
                AllOf(HasSubstr("rank 1: communication between GPUs failed"), HasSubstr(call), HasSubstr("acted-out"),
                      HasSubstr("INGRAIN_NCCL=off")));
  }
  Gpus gpus(2);
  acted::fail("ncclBroadcast");
  EXPECT_THAT(error_of_work([&] { gpus.ranks[0]->gather(bytes(out), parts_R); }), HasSubstr("its last words"));
  const uint64_t exchange = gpus.ranks[0]->begin_exchange(bytes(out), parts_R, bytes(in), parts_R);
  acted::tell(0, ncclRemoteError);
  EXPECT_THAT(error_of_work([&] { gpus.ranks[0]->done(exchange); }), HasSubstr("NCCL: an acted-out error"));
  EXPECT_THAT(error_of_work([&] { gpus.ranks[0]->wait(exchange); }), HasSubstr("NCCL: an acted-out error"));
}

TEST(NcclOnCpu, what_one_rank_cannot_begin_none_does_and_all_say_why) {
  for (const char* call : {"ncclGetUniqueId", "ncclCommInitRank", "cudaStreamCreate"}) {
    Threads::Meeting meeting(3);
    acted::reset(1);
    acted::fail(call);
    std::vector<std::string> errors(3);
    std::vector<std::thread> threads;
    for (int r = 0; r < 3; ++r)
      threads.emplace_back([&, r] {
        Threads host(meeting, r);
        errors[static_cast<size_t>(r)] =
            error_of_work([&] { join_gpus(host, *ingrain_nccl(), r, [] { return nullptr; }); });
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr(call));
    EXPECT_EQ(acted::left(), 0) << "who had begun has let go of it";
  }
}

TEST(NcclOnCpu, a_rank_that_gives_up_leaves_nothing_waiting_on_its_gpu) {
  Gpus gpus(2);
  Numbers out{1, 2}, in{0, 0};
  const std::vector<Part> parts_R{part(0, 1), part(1, 1)};
  gpus.ranks[0]->wait(gpus.ranks[0]->begin_exchange(bytes(out), parts_R, bytes(in), parts_R));
  acted::run_all();
  EXPECT_TRUE(acted::unfinished()) << "the other one will never answer";
  gpus.ranks[0].reset();
  gpus.ranks[1].reset();
  acted::run_all();
  EXPECT_EQ(acted::left(), 0);
}

TEST(NcclOnCpu, without_the_module_or_switched_off_there_is_none_and_all_ranks_know) {
  for (const char* asked : {"off", ""}) {
    ::setenv("INGRAIN_NCCL", asked, 1);
    Threads::Meeting meeting(1);
    Threads host(meeting, 0);
    std::string why;
    EXPECT_EQ(join_gpus(host, 0, [] { return nullptr; }, why), nullptr);
    EXPECT_THAT(why, HasSubstr(*asked ? "INGRAIN_NCCL=off" : "no libingrain_nccl.so"));
  }
  ::setenv("INGRAIN_NCCL", "/nowhere/libingrain_nccl.so", 1);
  Threads::Meeting meeting(1);
  Threads host(meeting, 0);
  std::string why;
  EXPECT_THAT(error_of_work([&] { join_gpus(host, 0, [] { return nullptr; }, why); }),
              HasSubstr("/nowhere/libingrain_nccl.so: cannot be opened"));
  ::unsetenv("INGRAIN_NCCL");
}

}  // namespace
}  // namespace ingrain::distributed
