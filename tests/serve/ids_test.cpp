#include "serve/store/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace ingrain::serve {
namespace {

TEST(Ids, are_of_one_form_and_differ) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_id("resp_");
    EXPECT_EQ(id.size(), 31u);
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567", 5), id.npos) << id;
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

}  // namespace
}  // namespace ingrain::serve
