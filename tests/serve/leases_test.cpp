#include "serve/records_cases.h"

#include <chrono>

namespace ingrain::serve {
namespace {

class LeasesTest : public RecordsFixture {};

TEST_P(LeasesTest, a_lease_is_one_holders_until_it_ends) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  EXPECT_TRUE(records_->lease("conv_1", "one", 1));  // longer, never shorter
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
  EXPECT_TRUE(records_->lease("conv_2", "two", 60));
  records_->release("conv_1", "two");  // not its own
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
  records_->release("conv_1", "one");
  EXPECT_TRUE(records_->lease("conv_1", "two", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  EXPECT_FALSE(records_->lease("conv_1", "two", 60));
}

TEST_P(LeasesTest, a_lease_that_ended_is_not_renewed_even_if_nobody_took_it) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_FALSE(records_->renew({"conv_1", "one"}, 60));
  EXPECT_TRUE(records_->lease("conv_1", "two", 60));
  EXPECT_FALSE(records_->renew({"conv_1", "one"}, 60));
  EXPECT_TRUE(records_->renew({"conv_1", "two"}, 0.01));  // never shorter
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_TRUE(records_->renew({"conv_1", "two"}, 60));
  records_->release("conv_1", "two");
  EXPECT_FALSE(records_->renew({"conv_1", "two"}, 60));
}

TEST_P(LeasesTest, a_write_that_depends_on_a_lease_is_its_holders_alone) {
  EXPECT_TRUE(records_->lease("conv_1", "one", 60));
  records_->put({}, {record("a")}, {"conv_1", "one"});
  EXPECT_TRUE(records_->get("ann", "response", "a"));
  EXPECT_THROW(records_->put({state("s")}, {record("b")}, {"conv_1", "two"}), LeaseLost);
  EXPECT_THROW(records_->put({}, {record("b")}, {"conv_2", "one"}), LeaseLost);
  EXPECT_FALSE(records_->get("ann", "response", "b"));
  EXPECT_FALSE(records_->state("s"));
  EXPECT_TRUE(records_->lease("short", "one", 0.05));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_THROW(records_->put({}, {record("b")}, {"short", "one"}), LeaseLost);
  EXPECT_TRUE(records_->lease("short", "two", 60));
  records_->put({}, {record("b")}, {"short", "two"});
  EXPECT_TRUE(records_->get("ann", "response", "b"));
}

INSTANTIATE_TEST_SUITE_P(On, LeasesTest, ::testing::ValuesIn(implementations()), implementation_name);

}  // namespace
}  // namespace ingrain::serve
