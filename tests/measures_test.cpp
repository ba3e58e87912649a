// What is measured of a model: scores that know nothing of later tokens, means over documents, recall, RULER.
#include "measures/asked.h"
#include "measures/json.h"
#include "measures/loss.h"
#include "measures/recall.h"
#include "scratch.h"
#include "store/model_files.h"
#include "tasks/ruler/ruler.h"
#include "tiny_model.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace ingrain::measures {
namespace {

constexpr int64_t kChunk = 16, kWindow = 12;

class Measures : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    ModelConfig c = test::tiny_config({.window = kWindow, .chunk = kChunk});
    c.vocab_size = 257;  // bytes and a beginning of text
    c.bos_id = 0;
    c.eos_ids = {0};
    save_model(dir_ / "model", c, initial_weights(c, 5), at::kFloat);
    std::filesystem::copy_file(std::filesystem::path(INGRAIN_EXAMPLES) / "tiny-book/tokenizer.json",
                               dir_ / "model" / "tokenizer.json");
  }
  Model model() const { return Model::load(dir_ / "model", {.dtype = "fp32"}); }

  static tasks::Book book() {
    std::string text;
    for (int p = 0; p < 60; ++p) {
      for (int s = 0; s < 4; ++s) {
        text += "It was";
        for (int w = 0; w < 9; ++w) {
          text += ' ';
          for (int i = 0, n = p * 36 + s * 9 + w; i < 5; ++i, n /= 26) text += static_cast<char>('a' + n % 26);
        }
        text += ". ";
      }
      text += "\n\n";
    }
    return {text, "book"};
  }
};

std::vector<int32_t> tokens(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> out{0};
  while (out.size() < count) out.push_back(1 + static_cast<int32_t>(random() % 256));
  return out;
}

/// Whatever follows a token, its score is the same: it was taken before the update that learns it. Whole chunks, parts
/// of one, and the token on either side of a boundary.
TEST_F(Measures, scores_are_taken_before_the_update) {
  const Model m = model();
  const std::vector<int32_t> before = tokens(7 * kChunk + 5, 1);
  const std::vector<float> whole = score_document(m, before, {.learn = true}).nll;
  for (const int64_t from : {kChunk - 1, kChunk, kChunk + 1, 3 * kChunk + 7, 7 * kChunk}) {
    std::vector<int32_t> other = before;
    for (size_t i = static_cast<size_t>(from); i < other.size(); ++i) other[i] = 1 + (other[i] + 77) % 256;
    const std::vector<float> changed = score_document(m, other, {.learn = true}).nll;
    for (size_t i = 1; i < static_cast<size_t>(from); ++i)
      ASSERT_EQ(changed[i], whole[i]) << "token " << i << " knows of token " << from;
    EXPECT_NE(changed[static_cast<size_t>(from)], whole[static_cast<size_t>(from)]);
  }
  // And learning is what makes the difference between on and off, from the second chunk on.
  const std::vector<float> off = score_document(m, before, {.learn = false}).nll;
  for (size_t i = 1; i <= static_cast<size_t>(kChunk); ++i) EXPECT_EQ(off[i], whole[i]) << i;
  EXPECT_NE(off[kChunk + 5], whole[kChunk + 5]);
}

/// A model that was shown the chunk first would predict it better: the test above would see that.
TEST_F(Measures, a_score_after_the_update_would_be_another) {
  const Model m = model();
  const std::vector<int32_t> text = tokens(2 * kChunk + 1, 2);
  std::vector<int32_t> twice = text;
  twice.insert(twice.end(), text.begin() + 1, text.end());
  const std::vector<float> nll = score_document(m, twice, {.learn = true}).nll;
  EXPECT_NE(nll[text.size() + 4], nll[5]);
}

TEST_F(Measures, documents_are_averaged_bin_by_bin) {
  const Model m = model();
  std::vector<Document> documents;
  for (unsigned i = 0; i < 5; ++i) documents.push_back({"d" + std::to_string(i), tokens(i == 4 ? 400 : 700, 10 + i)});
  const std::vector<DocumentLoss> on = score_documents(m, documents, {.learn = true}),
                                  off = score_documents(m, documents, {.learn = false});
  const std::vector<LossBin> bins = over_documents(on);
  ASSERT_EQ(bins.size(), 3u);
  EXPECT_EQ(bins[0].loss.count, 5);
  EXPECT_EQ(bins[1].begin, 256);
  EXPECT_EQ(bins[1].loss.count, 4) << "the short document does not reach its end";
  double sum = 0;
  for (const DocumentLoss& d : on) sum += d.bins[0].mean_nll;
  EXPECT_DOUBLE_EQ(bins[0].loss.mean, sum / 5);
  const std::vector<LossBin> gain = paired_difference(off, on);
  EXPECT_NEAR(gain[1].loss.mean, over_documents(off)[1].loss.mean - bins[1].loss.mean, 1e-12);
  EXPECT_LT(gain[1].loss.half, bins[1].loss.half + over_documents(off)[1].loss.half);

  const std::vector<DocumentLoss> again = documents_from_json(to_json(on), "here");
  EXPECT_EQ(to_json(again), to_json(on));
  EXPECT_TRUE(contains(error_of([] { documents_from_json({{{"scored", 3}}}, "loss.json"); }), "loss.json"));
}

TEST_F(Measures, facts_are_asked_at_their_distances) {
  const std::vector<RecallRow> rows =
      recall_by_age(model(), book(), {.facts = 16, .window = 32, .windows = {0, 1, 4}, .learn = true});
  ASSERT_EQ(rows.size(), 12u) << "four ways of telling at three distances";
  for (const RecallRow& row : rows) {
    EXPECT_EQ(row.asked, 4);
    EXPECT_EQ(row.context - rows[0].context, 32 * row.windows);
    EXPECT_LT(row.log_p, 0);
    EXPECT_LT(row.log_p_others, 0);
    EXPECT_TRUE(row.old_first == 0 || row.told == tasks::Told::updated);
  }
  EXPECT_EQ(window_of(model(), 0), kWindow);
}

TEST_F(Measures, ruler_judges_what_is_written) {
  const std::vector<AskedRow> rows =
      ask(model(), tasks::ruler_tasks(), book(), {.tasks = {"niah_single_1", "vt"}, .lengths = {2048}, .samples = 2});
  ASSERT_EQ(rows.size(), 2u);
  for (const AskedRow& row : rows) {
    EXPECT_EQ(row.score.count, 2);
    EXPECT_EQ(row.score.mean, 0) << "a random model finds nothing";
  }
  EXPECT_THROW(ask(model(), tasks::ruler_tasks(), book(), {.tasks = {"qa_2"}}), UsageError);
}

}  // namespace
}  // namespace ingrain::measures
