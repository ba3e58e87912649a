#include "data/loader.h"

#include "base/files.h"
#include "data/random.h"
#include "scratch.h"

#include <nlohmann/json.hpp>

#include <set>

namespace ingrain::data {
namespace {

/// A raw corpus in which token i is i, so that a batch shows where it comes from.
class LoaderTest : public ScratchTest {
 protected:
  Corpus counting(uint32_t tokens) {
    std::vector<uint32_t> ids(tokens);
    for (uint32_t i = 0; i < tokens; ++i) ids[i] = i;
    put(dir_ / "raw.bin", {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(uint32_t)});
    return Corpus::open(dir_ / "raw.bin", TokenType::U32);
  }
};

LoaderOptions options(int64_t batch, int64_t length, Order order, uint64_t seed = 1) {
  LoaderOptions out;
  out.batch = batch, out.length = length, out.order = order, out.seed = seed;
  return out;
}

/// First token of every row.
std::vector<int32_t> starts(const Batch& batch) {
  std::vector<int32_t> out;
  for (int64_t row = 0; row < batch.rows; ++row) {
    out.push_back(batch.tokens[static_cast<size_t>(row * (batch.length + 1))]);
  }
  return out;
}

TEST(NumpyRandom, gives_the_numbers_of_numpy) {
  // numpy 2.4.6: r = default_rng(1); r.integers(0, 8192), r.permutation(10), r.integers(0, 2**33),
  // r.integers(0, 2**32)
  NumpyRandom r(1);
  EXPECT_EQ(r.below(8192), 3876u);
  EXPECT_EQ(r.permutation(10), (std::vector<uint32_t>{8, 4, 7, 0, 1, 2, 5, 9, 6, 3}));
  EXPECT_EQ(r.below(uint64_t{1} << 33), 7109911142u);
  EXPECT_EQ(r.below(uint64_t{1} << 32), 1103772362u);
  // A seed of more than 32 bits: default_rng(2**40 + 7).integers(0, 10**18)
  EXPECT_EQ(NumpyRandom((uint64_t{1} << 40) + 7).below(1'000'000'000'000'000'000u), 829812891829413002u);
}

TEST(SplitMix64, is_fixed_for_ever) {
  SplitMix64 generator(1, 0);
  EXPECT_EQ(generator.next(), 15204172177749531820u);
  EXPECT_EQ(generator.permutation(8), (std::vector<uint32_t>{7, 6, 3, 1, 5, 0, 2, 4}));
  EXPECT_NE(SplitMix64(1, 0).next(), SplitMix64(1, 1).next());
  EXPECT_NE(SplitMix64(1, 0).next(), SplitMix64(0, 1).next());
}

TEST(SplitMix64, draws_below_a_range_are_uniform) {
  SplitMix64 generator(3);
  std::vector<int> counts(6);
  for (int i = 0; i < 60'000; ++i) ++counts[generator.below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);  // 4 standard deviations
}

TEST_F(LoaderTest, a_batch_holds_consecutive_tokens_of_different_sequences) {
  const Corpus corpus = counting(1000);
  for (const Order order : {Order::splitmix, Order::numpy}) {
    Loader loader(corpus, options(3, 10, order));
    std::set<int32_t> seen;
    const uint64_t batches = loader.batches_in_epoch();
    EXPECT_GE(batches, 32u);
    for (uint64_t i = 0; i < batches; ++i) {
      const Batch batch = loader.next();
      ASSERT_EQ(batch.tokens.size(), 33u);
      for (int64_t row = 0; row < 3; ++row) {
        const int32_t first = batch.tokens[static_cast<size_t>(row * 11)];
        for (int64_t t = 0; t <= 10; ++t) {
          EXPECT_EQ(batch.tokens[static_cast<size_t>(row * 11 + t)], first + t);
        }
        EXPECT_TRUE(seen.insert(first).second) << "a sequence came twice in an epoch";
        EXPECT_EQ(first % 10, *seen.begin() % 10) << "an epoch has one offset";
      }
    }
    EXPECT_EQ(loader.state().epoch, 0u);
    loader.next();
    EXPECT_EQ(loader.state().epoch, 1u);
  }
}

TEST_F(LoaderTest, the_numpy_order_is_that_of_the_reference_run) {
  // T, B = 8192, 2; N = 200,000; starts of the first and seventh batch by the rule in numpy 2.4.6.
  const Corpus corpus = counting(200'000);
  Loader loader(corpus, options(2, 8192, Order::numpy));
  EXPECT_EQ(starts(loader.next()), (std::vector<int32_t>{12068, 102180}));
  LoaderOptions skipping = options(2, 8192, Order::numpy);
  skipping.skip = 13;  // past the first epoch of 11 or 12 batches
  Loader later(corpus, skipping);
  EXPECT_EQ(starts(later.next()), (std::vector<int32_t>{170298, 6458}));
  for (int i = 1; i < 13; ++i) loader.next();
  EXPECT_EQ(starts(loader.next()), (std::vector<int32_t>{170298, 6458})) << "skipping is reading and dropping";
}

TEST_F(LoaderTest, a_resumed_loader_continues_exactly_where_it_stopped) {
  const Corpus corpus = counting(300);
  for (const Order order : {Order::splitmix, Order::numpy}) {
    for (const int before : {0, 1, 5, 14, 15, 40}) {
      Loader whole(corpus, options(2, 10, order, 9)), resumed(corpus, options(2, 10, order, 9));
      for (int i = 0; i < before; ++i) whole.next();
      const nlohmann::json saved = whole.state();
      resumed.resume(nlohmann::json::parse(saved.dump()).get<LoaderState>());
      for (int i = 0; i < 35; ++i) {
        ASSERT_EQ(whole.next().tokens, resumed.next().tokens) << before << " " << i;
        ASSERT_EQ(whole.state(), resumed.state());
      }
    }
  }
}

TEST_F(LoaderTest, ranks_share_a_batch_without_overlap) {
  const Corpus corpus = counting(500);
  for (const int ranks : {1, 2, 4}) {
    Loader whole(corpus, options(4, 10, Order::splitmix));
    std::vector<Loader> parts;
    for (int rank = 0; rank < ranks; ++rank) {
      LoaderOptions o = options(4, 10, Order::splitmix);
      o.rank = rank, o.ranks = ranks;
      parts.emplace_back(corpus, o);
    }
    for (int i = 0; i < 20; ++i) {
      const auto all = starts(whole.next());
      for (int rank = 0; rank < ranks; ++rank) {
        const auto mine = starts(parts[static_cast<size_t>(rank)].next());
        ASSERT_EQ(mine.size(), all.size() / static_cast<size_t>(ranks));
        for (size_t row = 0; row < mine.size(); ++row) {
          EXPECT_EQ(mine[row], all[static_cast<size_t>(rank) + row * static_cast<size_t>(ranks)]);
        }
      }
    }
  }
}

TEST_F(LoaderTest, seeds_and_epochs_give_different_orders) {
  const Corpus corpus = counting(2000);
  Loader one(corpus, options(2, 10, Order::splitmix, 1)), two(corpus, options(2, 10, Order::splitmix, 2));
  const auto first = starts(one.next());
  EXPECT_NE(first, starts(two.next()));
  while (one.state().epoch == 0) {
    const auto batch = starts(one.next());
    if (one.state().epoch == 1) {
      EXPECT_NE(batch, first);
    }
  }
}

TEST_F(LoaderTest, what_cannot_work_is_refused_with_the_remedy) {
  const Corpus corpus = counting(100);
  const auto error = [&](LoaderOptions o) { return error_of([&] { Loader(corpus, o); }); };
  EXPECT_EQ(error(options(9, 10, Order::splitmix)), "");
  EXPECT_TRUE(contains(error(options(10, 10, Order::splitmix)), "smaller batch"));
  EXPECT_TRUE(contains(error(options(1, 51, Order::splitmix)), "smaller length"));
  EXPECT_TRUE(contains(error(options(INT64_MAX, INT64_MAX, Order::splitmix)), "too few"));
  EXPECT_TRUE(contains(error(options(0, 10, Order::splitmix)), "positive"));
  EXPECT_TRUE(contains(error(options(1, -1, Order::splitmix)), "positive"));
  LoaderOptions shared = options(3, 10, Order::splitmix);
  shared.ranks = 2;
  EXPECT_TRUE(contains(error(shared), "ranks"));
  shared.ranks = 3, shared.rank = 3;
  EXPECT_TRUE(contains(error(shared), "rank"));
  EXPECT_EQ(order_from_name("numpy"), Order::numpy);
  EXPECT_THROW(order_from_name("random"), UsageError);
}

TEST_F(LoaderTest, every_epoch_has_a_batch_at_the_smallest_size_allowed) {
  const Corpus corpus = counting(30);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Loader loader(corpus, options(2, 10, Order::splitmix, seed));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(loader.next().tokens.size(), 22u);
  }
}

TEST_F(LoaderTest, a_checkpoint_of_another_run_is_refused) {
  const Corpus corpus = counting(300);
  Loader loader(corpus, options(2, 10, Order::splitmix));
  LoaderState state = loader.state();
  for (const auto& other : {options(3, 10, Order::splitmix), options(2, 11, Order::splitmix),
                            options(2, 10, Order::numpy), options(2, 10, Order::splitmix, 2)}) {
    EXPECT_TRUE(contains(error_of([&] { Loader(corpus, other).resume(state); }), "other data"));
  }
  state.batch = 1000;
  EXPECT_TRUE(contains(error_of([&] { loader.resume(state); }), "damaged"));
  state.batch = 0, state.epoch = ~uint64_t{0};
  EXPECT_TRUE(contains(error_of([&] { loader.resume(state); }), "damaged"));
  EXPECT_TRUE(contains(error_of([] { nlohmann::json::parse(R"({"epoch":1,"batch":-1,"plan":1})").get<LoaderState>(); }),
                       "'batch'"));
}

TEST_F(LoaderTest, an_id_beyond_int32_names_the_file) {
  const std::vector<uint32_t> ids(100, 0xFFFFFFFF);
  put(dir_ / "bad.bin", {reinterpret_cast<const char*>(ids.data()), 400});
  const Corpus corpus = Corpus::open(dir_ / "bad.bin", TokenType::U32);
  EXPECT_TRUE(contains(error_of([&] { Loader(corpus, options(1, 10, Order::splitmix)).next(); }), "bad.bin"));
}

}  // namespace
}  // namespace ingrain::data
