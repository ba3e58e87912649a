// A study: what it trains and measures, what it keeps, and what it refuses.
#include "base/files.h"
#include "base/interval.h"
#include "bench/latency.h"
#include "data/corpus.h"
#include "data/prepare.h"
#include "scratch.h"
#include "study/kept.h"
#include "study/mqar.h"
#include "study/report.h"
#include "study/run.h"
#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kStudy = R"(
[study]
title = "a test"
train = "train"
held_out = "held-out"
tokenizer = "tokenizer.json"
book = "book.txt"
rivals = ["ours", "full", "plain"]
ours = "ours"
reference = "full"
plain = "plain"

[model]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
sliding_window = 16
chunk_size = 16

[data]
sequence_length = 64

[train]
mode = "standard"
steps = 3
batch = 2

[measures]
context = 512
latency = [64, 128]
latency_tokens = 4
facts = 4
window = 32
windows = [0, 1]

[mqar]
pairs = [2]
vocab = 32
length = 16
steps = 2
batch = 4
examples = 4

[rivals.ours]
title = "learns <while> reading"
model = { suffix_len = 1, fast_intermediate_size = 32 }
train = { mode = "meta" }

[rivals.full]
model = { sliding_window = "full" }

[rivals.plain]
model = { suffix_len = 1, fast_intermediate_size = 32 }

[rivals.unused]
)";

class StudyTest : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    const fs::path examples = INGRAIN_EXAMPLES;
    fs::copy_file(examples / "tiny-book/tokenizer.json", dir_ / "tokenizer.json");
    const std::string emma = read_file(examples / "data/emma.txt", 1 << 24);
    put(dir_ / "book.txt", emma.substr(0, 120'000));
    fs::create_directories(dir_ / "held-out");
    for (size_t i = 0; i < 3; ++i)
      put(dir_ / "held-out" / fmt::format("{}.txt", i), emma.substr(200'000 + i * 1000, i == 2 ? 100 : 900));
    put(dir_ / "text.txt", emma.substr(400'000, 20'000));
    const auto tokenizer = tokenizer::Tokenizer::load(dir_ / "tokenizer.json");
    data::PrepareOptions options;
    options.inputs = {dir_ / "text.txt"}, options.output = dir_ / "train";
    options.vocab_size = static_cast<uint32_t>(tokenizer.vocab_size());
    options.bos = static_cast<uint32_t>(*tokenizer.bos());
    options.tokenizer = tokenizer.fingerprint();
    data::prepare(options, [&](std::string_view text) { return tokenizer.encode(text, {.add_special_tokens = false}); },
                  {});
    put(dir_ / "study.toml", kStudy);
  }
  StudyConfig config(const std::vector<std::string>& overrides = {}) const {
    return load_study(dir_ / "study.toml", overrides);
  }
  void run(const StudyConfig& study) {
    said_.clear();
    StudyOptions options;
    options.say = [&](const std::string& line) { said_.push_back(line); };
    run_study(study, dir_ / "out", options);
  }

  std::vector<std::string> said_;
};

TEST_F(StudyTest, trains_measures_and_reports_once) {
  run(config());
  const fs::path out = dir_ / "out";
  for (const char* rival : {"ours", "full", "plain"}) {
    EXPECT_TRUE(fs::exists(out / rival / "model" / "model.safetensors"));
    for (const char* measure : {"loss", "recall", "latency", "mqar"})
      EXPECT_TRUE(fs::exists(out / rival / (std::string(measure) + ".json"))) << rival << measure;
  }
  EXPECT_FALSE(fs::exists(out / "unused"));
  const json report = json::parse(read_file(out / "report.json", 1 << 24));
  ASSERT_EQ(report["rivals"].size(), 3u);
  const json& ours = report["rivals"][0];
  EXPECT_TRUE(ours["meta"].get<bool>() && ours["learns"].get<bool>());
  EXPECT_EQ(ours["measures"]["loss"]["on"].size(), 2u) << "the document that is too short is left out";
  EXPECT_EQ(ours["measures"]["latency"]["rows"].size(), 2u);
  EXPECT_EQ(ours["training"]["tokens"], 3 * 2 * 64);
  EXPECT_FALSE(report["rivals"][1]["measures"]["loss"].contains("on")) << "nothing learns there";
  const std::string page = read_file(out / "report.html", 1 << 24);
  EXPECT_THAT(page, HasSubstr("learns &lt;while&gt; reading"));
  EXPECT_EQ(page.find("learns <while>"), page.npos);
  EXPECT_THAT(page, HasSubstr("dynamic evaluation"));
  EXPECT_THAT(page, HasSubstr("<figure>"));

  const auto loss = out / "ours" / "loss.json";
  const std::string before = read_file(loss, 1 << 24);
  run(config());
  EXPECT_TRUE(said_.empty()) << "everything was there: " << said_[0];
  EXPECT_EQ(read_file(loss, 1 << 24), before);

  run(config({"measures.context=256"}));
  EXPECT_THAT(said_, ::testing::ElementsAre("learns <while> reading: loss", "full: loss", "plain: loss"));

  EXPECT_THAT(error_of([&] { run(config({"train.lr=1e-4"})); }), HasSubstr("train.lr"));
}

TEST_F(StudyTest, an_ablation_has_its_loss_measured_and_is_told_of_apart) {
  const StudyConfig study = config({"study.rivals=[\"ours\", \"full\"]", "study.ablations=[\"plain\"]",
                                    "measures.latency=[]", "mqar.pairs=[]", "measures.windows=[0]"});
  run(study);
  EXPECT_THAT(said_, ::testing::Contains("plain: loss"));
  EXPECT_THAT(said_, ::testing::Not(::testing::Contains("plain: recall")));
  const std::string page = read_file(dir_ / "out" / "report.html", 1 << 24);
  EXPECT_THAT(page, HasSubstr("learns &lt;while&gt; reading, varied"));
  EXPECT_THAT(page, HasSubstr("dynamic evaluation"));
  const std::string recall =
      page.substr(page.find("Recall by age"), page.find("Training loss") - page.find("Recall by age"));
  EXPECT_EQ(recall.find("plain"), recall.npos);
}

TEST_F(StudyTest, wrong_settings_are_named) {
  EXPECT_THAT(error_of([&] { config({"study.rivals=[\"ful\"]"}); }), HasSubstr("did you mean 'full'"));
  EXPECT_THAT(error_of([&] { config({"study.rivals=[\"full\", \"full\"]"}); }), HasSubstr("twice"));
  EXPECT_THAT(error_of([&] { config({"study.plain=nobody"}); }), HasSubstr("nobody"));
  EXPECT_THAT(error_of([&] { config({"study.ablations=[\"full\"]"}); }), HasSubstr("study.ablations"));
  EXPECT_THAT(error_of([&] { config({"measures.contex=5"}); }), HasSubstr("contex"));
  EXPECT_THAT(error_of([&] { config({"measures.windows=[-1]"}); }), HasSubstr("measures.windows"));
  EXPECT_THAT(error_of([&] { config({"rivals.a/b={}"}); }), HasSubstr("rival's name"));
  EXPECT_THAT(error_of([&] { config({"rivals.full={ modle = {} }"}); }), HasSubstr("modle"));
  const StudyConfig wrong = config({"rivals.full={ model = { hidden_sise = 3 } }"});
  EXPECT_THAT(error_of([&] { run(wrong); }), HasSubstr("hidden_sise"));
  EXPECT_FALSE(fs::exists(dir_ / "out")) << "known before anything is made";
  std::string one_paragraph = read_file(dir_ / "book.txt", 1 << 24);
  std::replace(one_paragraph.begin(), one_paragraph.end(), '\n', ' ');
  put(dir_ / "book.txt", one_paragraph);
  EXPECT_THAT(error_of([&] { run(config()); }), HasSubstr("paragraphs"));
  EXPECT_FALSE(fs::exists(dir_ / "out" / "ours")) << "known before anything is trained";
}

TEST_F(StudyTest, a_result_is_kept_until_its_model_or_settings_change) {
  int measured = 0;
  const auto kept = [&](const char* model, int setting) {
    return kept_or(dir_ / "x.json", model, {{"n", setting}}, [&] { return json(++measured); });
  };
  EXPECT_EQ(kept("a", 1), 1);
  EXPECT_EQ(kept("a", 1), 1);
  EXPECT_EQ(kept("b", 1), 2);
  EXPECT_EQ(kept("b", 2), 3);
  put(dir_ / "x.json", "{\"model\": \"b\"");
  EXPECT_EQ(kept("b", 2), 4);
}

TEST_F(StudyTest, attention_learns_to_recall) {
  const StudyConfig study = config();
  MqarTraining training;
  training.task = {.vocab = 24, .length = 16, .pairs = 2};
  training.steps = 800, training.batch = 32, training.lr = 3e-3, training.examples = 64;
  const MqarResult result = learn_mqar(run_of(study, study.rival("full"), dir_ / "out"), training);
  EXPECT_EQ(result.queries, 128);
  EXPECT_GT(result.accuracy, 0.9) << "half without knowing which of two values; one of twelve by chance";
}

}  // namespace
}  // namespace ingrain::study
