#include "serve/records_cases.h"

#include "scratch.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordsTest : public RecordsFixture {};

TEST_P(RecordsTest, what_was_put_comes_back_whole) {
  Record r = record("resp_1");
  r.parent = "conv_1";
  r.name = "my näme '); DROP TABLE records;--";
  r.state = "state_1";
  r.body = std::string("{\"a\":\"\xff\xfe\0 b\"}", 14);  // no UTF-8, and a NUL
  records_->put(r);
  const auto back = records_->get("ann", "response", "resp_1");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner, r.owner);
  EXPECT_EQ(back->kind, r.kind);
  EXPECT_EQ(back->id, r.id);
  EXPECT_EQ(back->parent, r.parent);
  EXPECT_EQ(back->name, r.name);
  EXPECT_EQ(back->state, r.state);
  EXPECT_EQ(back->body, r.body);
  EXPECT_EQ(back->created, r.created);
  EXPECT_EQ(back->updated, r.updated);
  EXPECT_GT(back->order, 0);
}

TEST_P(RecordsTest, one_owners_rows_are_not_anothers) {
  Record r = record("resp_1");
  r.name = "n";
  records_->put(r);
  EXPECT_FALSE(records_->get("bob", "response", "resp_1"));
  EXPECT_FALSE(records_->get("ann", "memory", "resp_1"));
  EXPECT_FALSE(records_->get("an", "nresponse", "resp_1"));
  EXPECT_FALSE(records_->by_name("bob", "response", "n"));
  EXPECT_TRUE(records_->list("bob", "response", {}).empty());
  EXPECT_TRUE(records_->list("bob", "response", {.after = "resp_1"}).empty());
  EXPECT_FALSE(records_->remove("bob", "response", "resp_1"));
  EXPECT_TRUE(records_->get("ann", "response", "resp_1"));

  Record other = record("resp_1", "bob");  // the same id and name, another's
  other.name = "n";
  other.body = "{}";
  records_->put(other);
  EXPECT_NE(records_->get("ann", "response", "resp_1")->body, "{}");
  EXPECT_TRUE(records_->remove("bob", "response", "resp_1"));
  EXPECT_TRUE(records_->get("ann", "response", "resp_1"));
}

TEST_P(RecordsTest, a_record_replaces_that_of_its_key_and_keeps_its_order) {
  records_->put({}, {record("a"), record("b")});
  Record changed = record("a");
  changed.body = "new";
  changed.parent = "p";
  changed.state = "s";
  changed.order = 99;  // the store sets it
  records_->put(changed);
  EXPECT_THAT(ids(records_->list("ann", "response", {})), ElementsAre("a", "b"));
  EXPECT_EQ(records_->get("ann", "response", "a")->body, "new");
  EXPECT_EQ(records_->get("ann", "response", "a")->parent, "p");
  EXPECT_TRUE(records_->named("s", "response"));
}

TEST_P(RecordsTest, lists_go_both_ways_in_pieces) {
  for (int i = 0; i < 7; ++i) {
    Record item = record("item_" + std::to_string(i), "ann", "item");
    item.parent = i % 2 ? "odd" : "even";
    records_->put(item);
  }
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 3})), ElementsAre("item_0", "item_1", "item_2"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.after = "item_2", .limit = 2})), ElementsAre("item_3", "item_4"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 2, .descending = true})), ElementsAre("item_6", "item_5"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.after = "item_2", .descending = true})),
              ElementsAre("item_1", "item_0"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.parent = "odd"})), ElementsAre("item_1", "item_3", "item_5"));
  EXPECT_THAT(ids(records_->list("ann", "item", {.parent = "even", .after = "item_4", .descending = true})),
              ElementsAre("item_2", "item_0"));
  EXPECT_TRUE(records_->list("ann", "item", {.after = "item_9"}).empty());
  EXPECT_EQ(records_->list("ann", "item", {.limit = -5}).size(), 1u);
  EXPECT_EQ(records_->list("ann", "item", {.limit = int64_t{1} << 62}).size(), 7u);
  records_->remove("ann", "item", "item_6");
  records_->put(record("item_7", "ann", "item"));  // an order is never given twice
  EXPECT_THAT(ids(records_->list("ann", "item", {.limit = 2, .descending = true})), ElementsAre("item_7", "item_5"));
}

TEST_P(RecordsTest, a_name_is_one_records_only) {
  Record a = record("a"), b = record("b");
  a.name = b.name = "diary";
  records_->put(a);
  EXPECT_THROW(records_->put(b), NameTaken);
  EXPECT_THAT(error_of([&] { records_->put(b); }), HasSubstr("diary"));
  EXPECT_FALSE(records_->get("ann", "response", "b"));
  EXPECT_EQ(records_->by_name("ann", "response", "diary")->id, "a");
  records_->put(a);  // its own name is no other's
  a.name = "old";
  records_->put(a);
  records_->put(b);
  EXPECT_EQ(records_->by_name("ann", "response", "diary")->id, "b");
  records_->put(record("c"));
  records_->put(record("d"));  // no name is no name
  EXPECT_FALSE(records_->by_name("ann", "response", ""));
}

TEST_P(RecordsTest, a_put_is_whole_or_nothing) {
  Record a = record("a"), b = record("b");
  a.name = b.name = "same";
  EXPECT_THROW(records_->put({state("s")}, {a, b}), NameTaken);
  EXPECT_FALSE(records_->get("ann", "response", "a"));
  EXPECT_FALSE(records_->state("s"));
  b.name = "";
  b.id = std::string(600, 'x');
  EXPECT_THROW(records_->put({state("s")}, {a, b}), Error);
  EXPECT_FALSE(records_->state("s"));
  records_->put({state("s")}, {a});  // and it goes on after that
  EXPECT_TRUE(records_->state("s"));
}

TEST_P(RecordsTest, what_is_too_long_or_empty_is_refused_by_name) {
  Record r = record("a");
  r.id = "";
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("id"));
  r = record("a");
  r.name = std::string(513, 'n');
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("name"));
  r = record("a");
  r.name = std::string("a\0b", 3);
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("NUL"));
  r = record("a");
  r.body = std::string((size_t{64} << 20) + 1, 'b');
  EXPECT_THAT(error_of([&] { records_->put(r); }), HasSubstr("body"));
  EXPECT_FALSE(records_->get("ann", "response", std::string("a\0b", 3)));  // questions are never refused
  EXPECT_FALSE(records_->get("ann", "response", std::string(100'000, 'q')));
  EXPECT_FALSE(records_->by_name("ann", "response", "\xff\xff"));
}

TEST_P(RecordsTest, a_state_is_named_while_a_record_of_the_kind_names_it) {
  Record a = record("a"), b = record("b", "bob");
  a.state = b.state = "s";
  EXPECT_FALSE(records_->named("s", "response"));
  records_->put({}, {a, b, record("c")});
  EXPECT_TRUE(records_->named("s", "response"));
  EXPECT_FALSE(records_->named("", "response"));
  EXPECT_FALSE(records_->named("s", "memory"));
  records_->remove("ann", "response", "a");
  EXPECT_TRUE(records_->named("s", "response"));
  records_->remove("bob", "response", "b");
  EXPECT_FALSE(records_->named("s", "response"));
}

INSTANTIATE_TEST_SUITE_P(On, RecordsTest, ::testing::ValuesIn(implementations()), implementation_name);

}  // namespace
}  // namespace ingrain::serve
