#include "base/whole_number.h"

#include <gtest/gtest.h>

namespace ingrain {
namespace {

TEST(WholeNumber, is_read_whole_or_not_at_all) {
  EXPECT_EQ(whole_number<int64_t>("42"), 42);
  EXPECT_EQ(whole_number<int64_t>("+42"), 42);
  EXPECT_EQ(whole_number<int64_t>("-42"), -42);
  EXPECT_EQ(whole_number<int64_t>("010"), 10);
  EXPECT_EQ(whole_number<uint64_t>("-0"), 0u);
  EXPECT_EQ(whole_number<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(whole_number<int64_t>("-9223372036854775808"), INT64_MIN);
  for (const char* none : {"", "-", "+", "1.5", "1e3", "0x10", " 1", "1 ", "1_000", "+-1", "--1", "ten", "1\n"}) {
    EXPECT_EQ(whole_number<int64_t>(none), std::nullopt) << none;
    EXPECT_FALSE(is_whole_number(none)) << none;
  }
  EXPECT_EQ(whole_number<uint64_t>("18446744073709551616"), std::nullopt);
  EXPECT_EQ(whole_number<int64_t>("9223372036854775808"), std::nullopt);
  EXPECT_EQ(whole_number<int32_t>("2147483648"), std::nullopt);
  EXPECT_EQ(whole_number<uint64_t>("-1"), std::nullopt);
  EXPECT_EQ(whole_number<int64_t>("65", int64_t{1}, int64_t{64}), std::nullopt);
}

TEST(WholeNumber, a_fault_says_the_range_in_words) {
  const auto small = WholeRange::of<int64_t>(1, 64), seed = WholeRange::of<uint64_t>(0),
             some = WholeRange::of<int64_t>(1);
  EXPECT_EQ(whole_number_fault("64", small), "");
  EXPECT_EQ(whole_number_fault("1", small), "");
  EXPECT_EQ(whole_number_fault("65", small), "65 is out of range; it must be a whole number from 1 to 64");
  EXPECT_EQ(whole_number_fault("1.5", small), "'1.5' is no whole number; it must be a whole number from 1 to 64");
  EXPECT_EQ(whole_number_fault("18446744073709551615", seed), "");
  EXPECT_EQ(whole_number_fault("18446744073709551616", seed),
            "18446744073709551616 is out of range; it must be a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(whole_number_fault("-1", seed), "-1 is out of range; it must be a whole number, 0 or more");
  EXPECT_EQ(whole_number_fault("0", some), "0 is out of range; it must be a whole number, 1 or more");
  EXPECT_EQ(whole_number_fault("9223372036854775808", some),
            "9223372036854775808 is out of range; it must be a whole number from 1 to 9223372036854775807");
  EXPECT_EQ(whole_number_fault("-9223372036854775809", some),
            "-9223372036854775809 is out of range; it must be a whole number, 1 or more");
  EXPECT_EQ(whole_number_fault("2147483648", WholeRange::of<int32_t>(0)),
            "2147483648 is out of range; it must be a whole number from 0 to 2147483647");
}

}  // namespace
}  // namespace ingrain
