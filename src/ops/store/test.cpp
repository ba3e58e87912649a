// Results at their places, and what is refused.
#include "ops_refusals.h"

#include "ops/graph/graph.h"
#include "ops/store/store.h"

namespace ingrain::test {
namespace {

struct StoreInputs {
  Tensor x, ring, place, position;
  explicit StoreInputs(at::ScalarType type)
      : x(at::ones({2, 3}, type)),
        ring(at::zeros({2, 4, 3}, type)),
        place(at::zeros({2, 3}, type)),
        position(at::zeros({1}, at::kLong)) {}
  void run() const {
    ops::copy_to(x, place);
    ops::store_in_ring(x, ring, position);
    ops::advance(position, 1);
  }
};

TEST(Store, rows_go_round_and_idle_sequences_keep_theirs) {
  const Tensor ring = at::zeros({2, 3, 1}), position = at::tensor({int64_t{2}, int64_t{-1}});
  for (int64_t t = 2; t < 6; ++t) {
    ops::store_in_ring(at::full({2, 1}, static_cast<double>(t)), ring, position);
    position[0] += 1;
  }
  EXPECT_TRUE(ring[0].flatten().equal(at::tensor({3.0f, 4.0f, 5.0f}))) << ring;
  EXPECT_TRUE(ring[1].equal(at::zeros({3, 1})));
}

TEST(Store, is_captured) {
  const StoreInputs in(at::kFloat);
  ops::Graph graph(at::kCPU);
  for (int64_t run = 1; run <= 6; ++run) {
    in.x.fill_(run);
    graph.run([&] { in.run(); });
    EXPECT_TRUE(in.place.equal(in.x));
    EXPECT_TRUE(in.ring.select(1, (run - 1) % 4).equal(in.x));
    EXPECT_EQ(in.position.item<int64_t>(), run);
  }
  EXPECT_TRUE(graph.captured()) << graph.refusal();
}

TEST(Refused, stores) {
  expect_refused<StoreInputs>({
      {"a place of another shape", [](auto& in) { in.place = in.place.narrow(1, 0, 2); }},
      {"a place of another type", [](auto& in) { in.place = in.place.to(at::kHalf); }},
      {"a ring of fewer sequences", [](auto& in) { in.ring = in.ring.narrow(0, 0, 1); }},
      {"a ring of other rows", [](auto& in) { in.ring = in.ring.narrow(2, 0, 2); }},
      {"positions of three sequences", [](auto& in) { in.position = at::zeros({3}, at::kLong); }},
      {"positions in 32 bits", [](auto& in) { in.position = in.position.to(at::kInt); }},
  });
}

}  // namespace
}  // namespace ingrain::test
