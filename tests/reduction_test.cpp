// Several ranks acted out in one thread, so that a test decides when each of them does what and when numbers arrive.
#include "train/reduction.h"
#include "train/sharing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace ingrain::train {
namespace {

using distributed::Communicator;
using distributed::Part;
using distributed::Parts;

/// What acted-out ranks have in common. An exchange moves its numbers when every rank has begun it and somebody asks
/// for it often enough: not when it begins.
struct Board {
  struct Side {
    const std::byte* out;
    std::vector<Part> out_R;
    std::byte* in;
    std::vector<Part> in_R;
  };
  int ranks;
  std::map<uint64_t, std::vector<std::optional<Side>>> exchanges;
  std::mt19937 random{11};

  void move(uint64_t number) {
    auto& sides = exchanges.at(number);
    for (const auto& side : sides)
      if (!side) return;
    for (size_t to = 0; to < sides.size(); ++to)
      for (size_t from = 0; from < sides.size(); ++from) {
        const Part &out = sides[from]->out_R[to], &in = sides[to]->in_R[from];
        ASSERT_EQ(out.size, in.size);
        std::copy_n(sides[from]->out + out.begin, out.size, sides[to]->in + in.begin);
      }
    exchanges.erase(number);
  }
};

class ActedRank final : public Communicator {
 public:
  ActedRank(Board& board, int rank) : board_(board), rank_(rank) {}
  int rank() const override { return rank_; }
  int ranks() const override { return board_.ranks; }
  uint64_t begun() const { return next_; }

 private:
  void do_gather(std::byte*, Parts) override { FAIL() << "a reduction gathers nothing"; }
  uint64_t do_begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) override {
    auto& sides = board_.exchanges[next_];
    sides.resize(static_cast<size_t>(board_.ranks));
    sides[static_cast<size_t>(rank_)] = Board::Side{out, {out_R.begin(), out_R.end()}, in, {in_R.begin(), in_R.end()}};
    return next_++;
  }
  bool do_end_exchange(uint64_t number, bool wait) override {
    if (board_.exchanges.contains(number) && (wait || board_.random() % 3 == 0)) board_.move(number);
    const bool ended = !board_.exchanges.contains(number);
    EXPECT_TRUE(ended || !wait) << "waits for who has not begun";
    return ended;
  }

  Board& board_;
  int rank_;
  uint64_t next_ = 0;
};

TEST(Reduction, sums_in_the_order_of_the_ranks_while_numbers_below_are_still_to_come) {
  constexpr int64_t kCount = 21 * kBlock + 48, kBucket = 4 * kBlock;
  for (const int N : {1, 2, 3, 5}) {
    for (const bool into_a_sum : {false, true}) {
      Board board{N, {}};
      const std::vector<Bucket> buckets = buckets_of(kCount, kBucket, N);
      std::vector<std::unique_ptr<ActedRank>> ranks;
      std::vector<Tensor> flats, sums, gradients;
      std::vector<std::unique_ptr<Reduction>> reductions;
      for (int r = 0; r < N; ++r) {
        ranks.push_back(std::make_unique<ActedRank>(board, r));
        gradients.push_back(at::randn({kCount}));
        flats.push_back(at::full({kCount}, std::numeric_limits<float>::quiet_NaN()));  // nothing is final yet
        const int64_t own = count_of(stretches_of(buckets, r));
        sums.push_back(into_a_sum ? at::ones({own}) : Tensor());
        reductions.push_back(std::make_unique<Reduction>(*ranks.back(), buckets, flats.back(), sums.back(), true));
      }
      std::vector<int64_t> first(static_cast<size_t>(N), kCount);
      for (bool all = false; !all;) {
        const size_t r = board.random() % static_cast<size_t>(N);
        const int64_t next = std::max<int64_t>(0, first[r] - static_cast<int64_t>(board.random() % (3 * kBlock)));
        flats[r].narrow(0, next, first[r] - next).copy_(gradients[r].narrow(0, next, first[r] - next));
        first[r] = next;
        reductions[r]->settle(next);
        const int64_t whole = kCount / kBucket + 1 - (next + kBucket - 1) / kBucket;  // buckets that are final
        EXPECT_EQ(reductions[r]->begun(), whole) << "sent as soon as they are final, and no sooner";
        all = std::all_of(first.begin(), first.end(), [](int64_t n) { return n == 0; });
      }
      for (const auto& reduction : reductions) reduction->finish();
      EXPECT_TRUE(board.exchanges.empty());
      for (int r = 0; r < N; ++r) {
        const auto i = static_cast<size_t>(r);
        int64_t place = 0;
        for (const Stretch& s : stretches_of(buckets, r)) {
          const int64_t n = s.end - s.begin;
          const Tensor expected = into_a_sum ? at::ones({n}) : at::zeros({n});
          for (const Tensor& g : gradients) expected.add_(g.narrow(0, s.begin, n));
          EXPECT_TRUE(at::equal(into_a_sum ? sums[i].narrow(0, place, n) : flats[i].narrow(0, s.begin, n), expected));
          place += n;
        }
      }
    }
  }
}

TEST(Reduction, holds_no_more_than_its_room) {
  for (const int64_t size : {int64_t{1} << 19, int64_t{1} << 22}) {
    const int64_t room = std::max<int64_t>(2, received_at_once() / 4 / size), count = (room + 3) * size;
    Board board{2, {}};
    ActedRank one(board, 0), other(board, 1);
    const std::vector<Bucket> buckets = buckets_of(count, size, 2);
    const Tensor flat_N = at::ones({count}), there_N = at::ones({count});
    Reduction here(one, buckets, flat_N, {}, true), there(other, buckets, there_N, {}, true);
    here.settle(0);
    EXPECT_EQ(here.begun(), room) << "the other one has sent nothing yet";
    there.settle(0);
    while (here.begun() < room + 3 || there.begun() < room + 3) here.advance(), there.advance();
    here.finish(), there.finish();
    const Stretch last = buckets.back().of_R[0];
    EXPECT_EQ(flat_N[last.begin].item<float>(), 2);
  }
}

}  // namespace
}  // namespace ingrain::train
