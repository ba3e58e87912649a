// Results at their places, and what is refused.
#include "ops_refusals.h"

#include "ops/graph/graph.h"
#include "ops/store/store.h"

namespace ingrain::test {
namespace {

struct StoreInputs {
  Tensor x, table, place, row;
  explicit StoreInputs(at::ScalarType type)
      : x(at::ones({2, 3}, type)),
        table(at::zeros({5, 3}, type)),
        place(at::zeros({2, 3}, type)),
        row(at::tensor({int64_t{4}, int64_t{1}})) {}
  void run() const {
    ops::copy_to(x, place);
    ops::store_rows(x, table, row);
  }
};

TEST(Store, is_captured_and_looks_up_its_rows_when_it_runs) {
  const StoreInputs in(at::kFloat);
  ops::Graph graph(at::kCPU);
  for (int64_t run = 1; run <= 4; ++run) {
    in.x.fill_(run);
    in.row[0] = run;
    in.row[1] = 0;
    graph.run([&] { in.run(); });
    EXPECT_TRUE(in.place.equal(in.x));
    EXPECT_TRUE(in.table[run].equal(in.x[0])) << in.table;
    EXPECT_TRUE(in.table[0].equal(in.x[1])) << in.table;
  }
  EXPECT_TRUE(in.table[2].equal(at::full({3}, 2.0f))) << "and nothing else is written";
  EXPECT_TRUE(graph.captured()) << graph.refusal();
}

TEST(Refused, stores) {
  expect_refused<StoreInputs>({
      {"a place of another shape", [](auto& in) { in.place = in.place.narrow(1, 0, 2); }},
      {"a place of another type", [](auto& in) { in.place = in.place.to(at::kHalf); }},
      {"a table of other rows", [](auto& in) { in.table = in.table.narrow(1, 0, 2); }},
      {"a table of another type", [](auto& in) { in.table = in.table.to(at::kHalf); }},
      {"places of three rows", [](auto& in) { in.row = at::zeros({3}, at::kLong); }},
      {"places in 32 bits", [](auto& in) { in.row = in.row.to(at::kInt); }},
  });
}

}  // namespace
}  // namespace ingrain::test
