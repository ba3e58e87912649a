// What is known of a long prompt is not cut into tokens again, and nothing depends on that.
#include "serve/engine/prompt_tokens.h"

#include "api/parts.h"
#include "serve_engine.h"

namespace ingrain::serve {
namespace {

constexpr const char* kMark = "<|begin_of_text|>";  // the tiny tokenizer's only control token

class LongPrompts : public ServingTest {
 protected:
  void SetUp() override {
    ServingTest::SetUp();
    write_file(dir_ / "model/chat_template.jinja",
               "{% for m in messages %}<|begin_of_text|><{{ m.role }}>{{ m.content }}{% endfor %}"
               "{% if add_generation_prompt %}<|begin_of_text|><assistant>{% endif %}");
  }
  static Json messages() {
    Json out = Json::array();
    for (int i = 0; i < 6; ++i) {
      std::string text = "message " + std::to_string(i) + (i % 2 ? kMark : " <|begin_of_ ");
      while (text.size() < 1500) text += "and so it went on, " + std::to_string(text.size() * 7919 % 1000) + "; ";
      out.push_back(message(i % 2 ? "assistant" : "user", text));
    }
    out.push_back(message("user", "and then?"));
    return out;
  }
};

TEST_F(LongPrompts, tokens_are_the_same_whatever_is_said_to_be_known) {
  const PromptReader reader(model());
  const Prompt asked = prompt(messages());
  const std::vector<int32_t> all = reader.read(asked).tokens;
  ASSERT_GT(all.size(), 9000u);
  ASSERT_EQ(std::count(all.begin(), all.end(), 0), 8);  // those that are meant, not those that messages say
  for (const size_t known : {all.size(), all.size() - 1, size_t{9000}, size_t{4096}, size_t{100}, size_t{0}})
    EXPECT_EQ(reader.read(asked, std::span(all).first(known)).tokens, all) << known;
  std::vector<int32_t> other = all;
  other[7000] = other[7000] == 'x' + 1 ? 'y' + 1 : 'x' + 1;
  EXPECT_EQ(reader.read(asked, other).tokens, all);
  other = all;
  other.insert(other.end(), 50, 'a' + 1);
  EXPECT_EQ(reader.read(asked, other).tokens, all);
  // A control token where the text spells one, and the other way round.
  std::string spelled = kMark;
  std::vector<int32_t> letters;
  for (const char c : spelled) letters.push_back(static_cast<unsigned char>(c) + 1);
  const auto second = std::find(all.begin() + 5000, all.end(), 0);
  other.assign(all.begin(), second);
  other.insert(other.end(), letters.begin(), letters.end());
  other.insert(other.end(), second + 1, all.end());
  EXPECT_EQ(reader.read(asked, other).tokens, all);
  const auto said = std::search(all.begin(), all.end(), letters.begin(), letters.end());
  ASSERT_NE(said, all.end());
  other.assign(all.begin(), said);
  other.push_back(0);
  other.insert(other.end(), said + static_cast<std::ptrdiff_t>(letters.size()), all.end());
  EXPECT_EQ(reader.read(asked, other).tokens, all);
}

TEST_F(LongPrompts, of_a_model_without_template_no_more_than_the_last_words_are_encoded_anew) {
  const Model reader_17m = Model::load(std::filesystem::path(INGRAIN_SOURCE_FOLDER) / "models/reader-17m");
  const PromptReader reader(reader_17m);
  ASSERT_FALSE(reader.has_template());
  const Json part = messages();
  Json said = part;
  for (int i = 0; i < 4; ++i) said.insert(said.end(), part.begin(), part.end());
  const Prompt asked = prompt(said);
  const std::vector<int32_t> all = reader.read(asked).tokens;
  ASSERT_GT(all.size(), 8200u);
  for (size_t known = 4096; known < all.size(); known += 401)
    EXPECT_EQ(reader.read(asked, std::span(all).first(known)).tokens, all) << known;
  // An answer in other tokens than the text's own stands as it was written.
  std::vector<int32_t> other(all.begin(), all.begin() + 6000);
  std::string last;
  while (last.size() < 20) last.insert(0, reader_17m.parts().tokenizer().id_to_bytes(other.back())), other.pop_back();
  for (const char c : last) other.push_back(reader_17m.encode(std::string(1, c)).at(0));
  other.insert(other.end(), all.begin() + 6000, all.begin() + 6100);
  const std::vector<int32_t> mixed = reader.read(asked, other).tokens;
  EXPECT_NE(mixed, all);
  EXPECT_EQ(reader_17m.decode(mixed), reader_17m.decode(all));
}

TEST_F(LongPrompts, going_on_from_a_named_state_gives_what_going_on_without_its_name_does) {
  const auto e = engine(), twin = engine();
  Json said = messages();
  std::string latest;
  for (int turn = 0; turn < 3; ++turn) {
    Prompt named = prompt(said);
    named.latest = latest;
    const Outcome one = e->run(named, writing(9)), other = twin->run(prompt(said), writing(9));
    EXPECT_EQ(one.choices[0].text, other.choices[0].text);
    EXPECT_EQ(one.prompt_tokens, other.prompt_tokens);
    EXPECT_EQ(one.cached_tokens, other.cached_tokens);
    EXPECT_EQ(one.position, other.position);
    if (turn > 0) {
      EXPECT_LT(one.prompt_tokens - one.cached_tokens, 40);
    }
    latest = one.choices[0].state;
    said = next(said, one.choices[0].text, "and then?");
  }
  Prompt stolen = prompt(said, "another");
  stolen.latest = latest;
  EXPECT_EQ(e->run(stolen, writing(1)).cached_tokens, 0);
}

}  // namespace
}  // namespace ingrain::serve
