// JSON fields: every complaint names the file, the path and what is wrong.
#include "base/json_fields.h"

#include "scratch.h"

namespace ingrain {
namespace {

using Json = nlohmann::json;

const Json& document() {
  static const Json json = Json::parse(R"({
    "size": 12, "half": 0.5, "name": "Emma", "on": true, "none": null, "least": -9223372036854775808,
    "most": 18446744073709551615, "whole": 16.0, "ids": [1, 2], "rope": {"factor": 2, "layers": [{}, {"window": 7}]}})");
  return json;
}
Field fields() { return Field(document(), "m.json", "; make it again"); }

std::string refusal(const std::function<void(const Field&)>& read) {
  return error_of([&] { read(fields()); });
}

TEST(JsonFields, give_what_is_there) {
  const Field f = fields();
  EXPECT_EQ(f.integer("size", 1, 12), 12);
  EXPECT_EQ(f.at("least").integer(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(f.at("most").whole_number(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(f.number("half", 0, 1), 0.5);
  EXPECT_EQ(f.positive("size"), 12);
  EXPECT_EQ(f.string("name"), "Emma");
  EXPECT_EQ(f.boolean("on"), true);
  EXPECT_EQ(f.at("ids").integers(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(f.at("size").integers(), std::vector<int64_t>{12}) << "one alone is a list of one";
  EXPECT_EQ(f.at("rope").at("layers").elements()[1].at("window").integer(), 7);
  EXPECT_FALSE(f.find("none") || f.find("absent") || f.string("none") || f.integer("absent", 0, 1));
}

TEST(JsonFields, name_file_path_and_remedy) {
  EXPECT_EQ(refusal([](const Field& f) { f.string("size"); }),
            "m.json: field 'size' must be a string, not number; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.integer("size", 1, 11); }),
            "m.json: field 'size' is 12; it must be from 1 to 11; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("rope").at("layers").elements()[1].boolean("window"); }),
            "m.json: field 'rope.layers[1].window' must be true or false, not number; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("rope").at("theta"); }),
            "m.json: field 'rope.theta' is missing; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("none"); }), "m.json: field 'none' is missing; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("ids").at("x"); }),
            "m.json: field 'ids' must be an object, not array; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("name").elements(); }),
            "m.json: field 'name' must be a list, not string; make it again");
}

TEST(JsonFields, numbers_are_of_their_kind_and_fit) {
  for (const char* key : {"half", "whole", "name", "on", "ids", "most"})
    EXPECT_TRUE(contains(refusal([&](const Field& f) { f.at(key).integer(); }), key)) << key;
  for (const char* key : {"least", "half", "name", "on"})
    EXPECT_TRUE(contains(refusal([&](const Field& f) { f.at(key).whole_number(); }), key)) << key;
  for (const char* key : {"least", "name", "on"})
    EXPECT_TRUE(contains(refusal([&](const Field& f) { f.at(key).positive(); }), key)) << key;
  EXPECT_TRUE(contains(refusal([](const Field& f) { f.at("half").number(0.6, 1); }), "is 0.5; it must be from 0.6"));
  EXPECT_EQ(refusal([](const Field& f) { f.integer("half", 1, 64); }),
            "m.json: field 'half' must be an integer from 1 to 64, not 0.5; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.integer("most", 1, 64); }),
            "m.json: field 'most' is 18446744073709551615; it must be from 1 to 64; make it again");
  EXPECT_EQ(refusal([](const Field& f) { f.at("least").whole_number(64); }),
            "m.json: field 'least' must be a whole number from 0 to 64, not -9223372036854775808; make it again");
}

TEST(JsonFields, what_nobody_asked_for_is_named_with_what_is_like_it) {
  const Json json{{"widow", 3}};
  const std::string said = error_of([&] {
    const Field f(json, "m.json");
    f.integer("window", 0, 9);
    f.finish();
  });
  EXPECT_EQ(said, "m.json: field 'widow' is unknown (did you mean 'window'?)");
}

TEST(JsonFields, hostile_names_are_made_printable) {
  const Json json{{std::string("a\x1b[31m") + std::string(1000, 'x'), "text"}};
  const std::string said = error_of([&] { Field(json, "m.json").finish(); });
  EXPECT_TRUE(contains(said, "a\\x1b[31m"));
  EXPECT_LT(said.size(), 200u);
}

}  // namespace
}  // namespace ingrain
