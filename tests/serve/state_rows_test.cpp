#include "serve/records_cases.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

class StateRowsTest : public RecordsFixture {};

TEST_P(StateRowsTest, a_state_comes_back_whole) {
  StateRow s = state("st_2");
  s.parent = "st_1";
  s.base = "st_0";
  s.tokens = std::string("\0\1\2\xff\0", 5);
  s.length = ~uint64_t{0};
  s.hash_high = uint64_t{1} << 63;
  s.hash_low = 42;
  s.position = 123'456'789'012;
  s.steps = 7;
  s.bytes = uint64_t{5} << 32;
  s.created = 10;
  s.used = 20;
  s.has_file = true;
  records_->put({s}, {});
  const auto back = records_->state("st_2");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner, "ann");
  EXPECT_EQ(back->model, "m");
  EXPECT_EQ(back->parent, s.parent);
  EXPECT_EQ(back->base, s.base);
  EXPECT_EQ(back->tokens, s.tokens);
  EXPECT_EQ(back->length, s.length);
  EXPECT_EQ(back->hash_high, s.hash_high);
  EXPECT_EQ(back->hash_low, s.hash_low);
  EXPECT_EQ(back->position, s.position);
  EXPECT_EQ(back->steps, s.steps);
  EXPECT_EQ(back->bytes, s.bytes);
  EXPECT_EQ(back->created, s.created);
  EXPECT_EQ(back->used, s.used);
  EXPECT_TRUE(back->has_file);
  EXPECT_FALSE(records_->state("st_3"));
}

TEST_P(StateRowsTest, states_with_files_are_listed_by_use_in_pieces) {
  for (int i = 0; i < 5; ++i) {
    StateRow s = state("s" + std::to_string(i), i == 3 ? "bob" : "ann");
    s.used = 10 - i / 2;  // 10, 10, 9, 9, 8
    s.has_file = i != 4;
    s.tokens = "long";
    records_->put({s}, {});
  }
  const auto first = records_->filed_states(0, 0, 3);
  EXPECT_THAT(ids(first), ElementsAre("s2", "s3", "s0"));
  EXPECT_EQ(first[0].tokens, "");
  EXPECT_THAT(ids(records_->filed_states(first[2].used, first[2].order, 3)), ElementsAre("s1"));
  records_->touch("s3", 100);
  records_->touch("none", 100);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 100)), ElementsAre("s2", "s0", "s1", "s3"));
  records_->set_file("s4", true);
  EXPECT_TRUE(records_->state("s4")->has_file);
  EXPECT_EQ(records_->state("s4")->tokens, "long");
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s4"));
  records_->set_file("s4", false);
  EXPECT_FALSE(records_->state("s4")->has_file);
  EXPECT_FALSE(records_->state("s4")->dropped);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s2"));
  records_->remove_state("s2");
  EXPECT_FALSE(records_->state("s2"));
  EXPECT_THAT(ids(records_->filed_states(0, 0, 1)), ElementsAre("s0"));
}

TEST_P(StateRowsTest, states_are_found_by_their_texts_hash_within_owner_and_model) {
  constexpr uint64_t kHigh = ~uint64_t{0} - 5;
  const auto put = [&](const std::string& id, const std::string& owner, const std::string& model, uint64_t high,
                       uint64_t length, bool has_file = true) {
    StateRow s = state(id, owner, model);
    s.hash_high = high;
    s.length = length;
    s.has_file = has_file;
    s.tokens = "long";
    records_->put({s}, {});
  };
  put("short", "ann", "m", 7, 5);
  put("long", "ann", "m", kHigh, 50);
  put("again", "ann", "m", 7, 5);
  put("bobs", "bob", "m", 7, 5);
  put("of another", "ann", "n", 7, 5);
  put("gone", "ann", "m", 7, 5, false);
  put("other text", "ann", "m", 8, 6);
  const std::vector<uint64_t> wanted{3, kHigh, 7};
  const auto found = records_->states_of_text("ann", "m", wanted);
  EXPECT_THAT(ids(found), ElementsAre("long", "again", "short"));
  EXPECT_EQ(found[0].tokens, "");
  EXPECT_EQ(found[0].hash_high, kHigh);
  EXPECT_TRUE(records_->states_of_text("ann", "m", {}).empty());
  records_->drop_file("short");
  const auto with_dropped = records_->states_of_text("ann", "m", wanted);
  EXPECT_THAT(ids(with_dropped), ElementsAre("long", "again", "short"));
  EXPECT_TRUE(with_dropped[2].dropped && !with_dropped[2].has_file && !with_dropped[1].dropped);
  records_->put({with_dropped[2]}, {});
  EXPECT_TRUE(records_->state("short")->dropped);
  EXPECT_THAT(ids(records_->filed_states(0, 0, 100)), Not(Contains("short")));
  EXPECT_TRUE(records_->states_of_text("cat", "m", wanted).empty());
  std::vector<uint64_t> many(5000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = i * 0x9e3779b97f4a7c15;
  many[4321] = 8;
  EXPECT_THAT(ids(records_->states_of_text("ann", "m", many)), ElementsAre("other text"));
  for (int64_t i = 0; i < Records::kMostOfText + 3; ++i) put("same" + std::to_string(i), "ann", "m", 7, 5);
  EXPECT_EQ(records_->states_of_text("ann", "m", wanted).size(), size_t{Records::kMostOfText});
  EXPECT_EQ(records_->states_of_text("ann", "m", wanted)[0].id, "long");
}

TEST_P(StateRowsTest, a_state_comes_with_all_that_it_follows_on) {
  const auto put = [&](const std::string& id, const std::string& parent) {
    StateRow s = state(id);
    s.parent = parent;
    s.tokens = "of " + id;
    records_->put({s}, {});
  };
  put("c", "b");
  put("a", "");
  put("b", "a");
  put("other", "a");
  const auto line = records_->ancestry("c");
  EXPECT_THAT(ids(line), ElementsAre("a", "b", "c"));
  EXPECT_EQ(line[1].tokens, "of b");
  EXPECT_THAT(ids(records_->ancestry("a")), ElementsAre("a"));
  EXPECT_TRUE(records_->ancestry("none").empty());
  EXPECT_TRUE(records_->ancestry("").empty());
  records_->remove_state("a");
  EXPECT_TRUE(records_->ancestry("c").empty());
  put("a", "c");  // no server does it
  EXPECT_TRUE(records_->ancestry("c").empty());
}

INSTANTIATE_TEST_SUITE_P(On, StateRowsTest, ::testing::ValuesIn(implementations()), implementation_name);

}  // namespace
}  // namespace ingrain::serve
